"""Comparing judges on synthetic folds whose measures are known."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, brier_score_loss, roc_auc_score

from relevance.baselines import token_overlap
from relevance.errors import BadInput
from relevance.late_interaction import sigmoid
from relevance.records import DataSet, Pair, find_data_set, write_judgements, write_pairs
from tests.trainer.make_students import make_judgement
from trainer.evaluate import SMALLEST_SLICE, compare
from trainer.fold_scores import MODELS, read_fold
from trainer.score_files import write_scores

TITLES = {"1": "Red Lamp", "2": "blue lamp", "3": "desk", "4": "red desk"}
Judge = Callable[[Sequence[Pair]], np.ndarray]


def make_pairs(queries: int = 12, *, prefix: str = "lamp") -> list[Pair]:
    """Four pairs a query: half of them Good, two subsets, each third query with a negation."""
    return [
        Pair(
            f"{prefix} {at} without cord" if at % 3 == 0 else f"red {prefix} {at}",
            item_id,
            good=item_id in ("1", "4"),
            subset="long" if at % 2 else "short",
        )
        for at in range(queries)
        for item_id in TITLES
    ]


def knowing(pairs: Sequence[Pair]) -> np.ndarray:
    return np.array([2.0 if pair.good else -2.0 for pair in pairs])


def mistaken(pairs: Sequence[Pair]) -> np.ndarray:
    return -knowing(pairs)


def indifferent(pairs: Sequence[Pair]) -> np.ndarray:
    return np.zeros(len(pairs))


def noisy(seed: int, skill: float) -> Judge:
    return lambda pairs: (
        skill * knowing(pairs) / 2 + np.random.default_rng(seed).normal(size=len(pairs))
    )


def write_fold(folder: Path, pairs: Sequence[Pair], judges: Mapping[str, Judge]) -> Path:
    for name in ("ce", "mkd"):
        write_scores(folder / f"{name}_scores.parquet", pairs, judges[name](pairs))
    logits = judges["teacher"](pairs).clip(-8, 8)
    write_judgements(
        folder / "teacher" / "judgements.parquet",
        [
            make_judgement(p.query, p.item_id, float(z))
            for p, z in zip(pairs, logits, strict=True)
            if not np.isnan(z)
        ],
    )
    return folder


@pytest.fixture
def shop(tmp_path) -> DataSet:
    items = (json.dumps({"item_id": key, "title": title}) for key, title in TITLES.items())
    (tmp_path / "shop_items.jsonl").write_text("\n".join(items))
    write_pairs(tmp_path / "shop_pairs.parquet", make_pairs())
    return find_data_set(tmp_path / "shop")


JUDGES = {"ce": indifferent, "mkd": knowing, "teacher": mistaken}


def test_a_judge_who_knows_all_has_one_an_indifferent_one_half_a_mistaken_one_nothing(
    shop, tmp_path
):
    found = compare(shop, [write_fold(tmp_path / "fold0", make_pairs(), JUDGES)])

    assert [found["models"][name]["roc_auc"] for name in ("mkd", "ce", "teacher")] == [1, 0.5, 0]
    assert found["models"]["mkd"]["neg_pr_auc"] == 1
    assert found["models"]["ce"]["neg_pr_auc"] == found["counts"]["share_bad"] == 0.5
    assert found["models"]["mkd"]["within_query_auc"] == 1
    assert found["counts"] == {"test_pairs": 48, "test_queries": 12, "share_bad": 0.5}
    assert found["dataset"] == "shop"
    assert found["folds"] == ["fold0"]


def test_measures_are_taken_per_fold_and_averaged_as_scikit_learn_takes_them(shop, tmp_path):
    judges = {"ce": noisy(1, 0.3), "mkd": noisy(2, 0.8), "teacher": noisy(3, 1.5)}
    parts = [make_pairs(12, prefix="lamp"), make_pairs(30, prefix="desk")]
    folders = [write_fold(tmp_path / f"fold{at}", part, judges) for at, part in enumerate(parts)]

    found = compare(shop, folders)

    for name, judge in judges.items():
        rows = []
        for at, part in enumerate(parts):
            good = np.array([pair.good for pair in part])
            logits = judge(part)
            if name == "teacher":
                logits = logits.clip(-8, 8).astype(np.float32)
            row = found["per_fold"][f"fold{at}"][name]
            assert row["roc_auc"] == pytest.approx(roc_auc_score(good, logits))
            assert row["neg_pr_auc"] == pytest.approx(average_precision_score(~good, -logits))
            assert row["brier"] == pytest.approx(brier_score_loss(good, sigmoid(logits)))
            rows.append(row)
        for measure, mean in found["models"][name].items():
            assert mean == pytest.approx(np.mean([row[measure] for row in rows]))


def test_differences_are_those_of_the_means_and_lie_in_their_intervals(shop, tmp_path):
    judges = {"ce": noisy(1, 0.3), "mkd": noisy(2, 0.8), "teacher": noisy(3, 1.5)}
    folders = [
        write_fold(tmp_path / f"fold{at}", make_pairs(20, prefix=prefix), judges)
        for at, prefix in enumerate(("lamp", "desk"))
    ]

    found = compare(shop, folders)

    for name, measures in found["differences"].items():
        first, second = name.split("_minus_")
        for measure, interval in measures.items():
            models = found["models"]
            expected = models[first][measure] - models[second][measure]
            assert interval["value"] == pytest.approx(expected)
            assert interval["low"] < interval["value"] < interval["high"]


def test_a_share_of_words_is_no_probability(shop, tmp_path):
    found = compare(shop, [write_fold(tmp_path / "fold0", make_pairs(), JUDGES)])

    assert set(found["models"]) == set(MODELS)
    assert "brier" in found["models"]["ce"]
    assert not {"brier", "log_loss", "calibration_error"} & set(found["models"]["overlap"])


def test_slices_hold_the_pairs_they_are_named_for(shop, tmp_path):
    pairs = make_pairs(30)

    found = compare(shop, [write_fold(tmp_path / "fold0", pairs, JUDGES)])

    counts = {row["slice"]: row["pairs"] for row in found["slices"]}
    assert counts["queries with a negation"] == sum("without" in pair.query for pair in pairs)
    assert counts["subset long"] == sum(pair.subset == "long" for pair in pairs)
    assert counts["subset short"] + counts["subset long"] == len(pairs)
    for row in found["slices"]:
        assert row["share_bad"] == 0.5
        assert (row["roc_auc"]["mkd"], row["roc_auc"]["teacher"]) == (1, 0)


def test_slices_that_are_too_small_or_of_one_class_are_left_out(shop, tmp_path):
    pairs = [
        *make_pairs(20),
        *(Pair(f"desk {at}", "3", good=False, subset="all bad") for at in range(40)),
        *(Pair(f"shoe {at}", "1", good=bool(at % 2), subset="few") for at in range(29)),
    ]
    assert SMALLEST_SLICE == 30

    found = compare(shop, [write_fold(tmp_path / "fold0", pairs, JUDGES)])

    names = {row["slice"] for row in found["slices"]}
    assert "subset short" in names
    assert not names & {"subset all bad", "subset few"}


def test_a_query_log_decides_which_queries_are_head(shop, tmp_path):
    pairs = make_pairs(20)
    heads = {pair.query for pair in pairs[:40]}
    rows = (
        json.dumps({"query": query, "uv": 11 if query in heads else 10})
        for query in {pair.query for pair in pairs}
    )
    (tmp_path / "shop_query_log.jsonl").write_text("\n".join(rows))

    data = find_data_set(tmp_path / "shop")
    found = compare(data, [write_fold(tmp_path / "fold0", pairs, JUDGES)])

    counts = {row["slice"]: row["pairs"] for row in found["slices"]}
    assert (counts["head queries"], counts["long-tail queries"]) == (40, 40)


def test_pairs_without_a_score_of_every_judge_are_left_out_for_all(tmp_path):
    pairs = make_pairs()

    def silent_on(position: int) -> Judge:
        def judge(given_pairs: Sequence[Pair]) -> np.ndarray:
            logits = knowing(given_pairs)
            logits[position] = np.nan
            return logits

        return judge

    judges = {"ce": silent_on(0), "mkd": silent_on(3), "teacher": silent_on(5)}
    found = read_fold(write_fold(tmp_path / "fold1", pairs, judges), TITLES)

    kept = [pair for at, pair in enumerate(pairs) if at not in (0, 3, 5)]
    assert found.fold == "fold1"
    assert found.pairs == tuple(kept)
    assert found.queries == [pair.query for pair in kept]
    assert found.good.tolist() == [pair.good for pair in kept]
    assert {name: logits.tolist() for name, logits in found.logits.items()} == {
        "overlap": [token_overlap(pair.query, TITLES[pair.item_id]) for pair in kept],
        **dict.fromkeys(("ce", "mkd", "teacher"), knowing(kept).tolist()),
    }


def test_students_that_were_scored_on_different_pairs_are_not_compared(tmp_path):
    folder = write_fold(tmp_path / "fold0", make_pairs(), JUDGES)
    fewer = make_pairs()[1:]
    write_scores(folder / "mkd_scores.parquet", fewer, knowing(fewer))

    with pytest.raises(BadInput, match="fold0: the two students were scored on different pairs"):
        read_fold(folder, TITLES)


@pytest.mark.parametrize(
    ("query", "title", "share"),
    [
        ("red lamp", "Lamp, in RED", 1.0),
        ("Straße lamp", "STRASSE lamp", 1.0),
        ("red red desk", "red chair", 2 / 3),
        ("red", "", 0.0),
        ("", "red", 0.0),
    ],
)
def test_token_overlap_is_the_share_of_the_querys_words_in_the_title(query, title, share):
    assert token_overlap(query, title) == pytest.approx(share)


@given(st.lists(st.sampled_from("abcde"), min_size=1), st.lists(st.sampled_from("abcde")))
def test_token_overlap_grows_with_the_title_up_to_one(query, title):
    found = token_overlap(" ".join(query), " ".join(title))

    assert 0 <= found <= token_overlap(" ".join(query), " ".join([*title, *query])) == 1
