"""The judge: calibrated, explained, quick, and the same online as offline."""

import json
import math
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relevance.chain_of_thought import parse, render
from relevance.domain import Item, Label, Side
from relevance.errors import BadInput
from relevance.text import normalise
from teacher.online.catalogue import CatalogueJudge
from teacher.online.features import FAMILIES, Similarities
from teacher.online.pair_reading import PairReader
from tests.teacher.make_teacher import catalogue, make_item

TEXTS = st.one_of(
    st.text(max_size=60),
    st.lists(
        st.sampled_from(
            [
                "red",
                "blue",
                "for",
                "without",
                "lid",
                "24 oz",
                "710 ml",
                "norvane",
                "backpack",
                "(",
                ",",
            ]
            + [
                "sold separately",
                "set of 2",
                "airpods 2",
                "women",
                "STRASSE",
                "straße",
                "free",
                "x",
            ]
        )
    ).map(" ".join),
)
COSINES = st.floats(-1, 1)


@given(TEXTS, TEXTS, TEXTS, TEXTS)
def test_any_pair_is_judged_and_every_span_stands_in_its_text(
    judge: CatalogueJudge, query: str, title: str, field: str, value: str
) -> None:
    item = Item("1", title, field, value, f"A > {field}", value, field, ((field, value),))

    judgement = judge.judge(query, item)

    thought = judgement.chain_of_thought
    assert thought is not None
    assert math.isfinite(judgement.log_odds)
    assert parse(render(thought)) == thought
    texts = {Side.QUERY: normalise(query), Side.TITLE: normalise(title)}
    for span in judgement.spans:
        marked = texts[span.side][span.start : span.end]
        assert len(marked) == span.end - span.start
        assert marked == marked.strip()


@given(st.builds(Similarities, COSINES, COSINES, COSINES, COSINES))
def test_contributions_sum_up_to_the_log_odds(
    judge: CatalogueJudge, similarities: Similarities
) -> None:
    item = make_item("Norvane Backpack, Blue", brand="Norvane")

    shares = judge.contributions("red norvane backpack", item, similarities)

    log_odds = judge.judge("red norvane backpack", item, similarities).log_odds
    assert sum(shares.values()) == pytest.approx(log_odds, abs=1e-9) or abs(log_odds) == 8


def test_the_label_is_the_probability_against_the_threshold(judge: CatalogueJudge) -> None:
    for item in catalogue():
        judgement = judge.judge("red backpack", item)
        probability = 1 / (1 + math.exp(-judgement.log_odds))
        thought = judgement.chain_of_thought
        assert thought is not None
        assert (thought.label is Label.GOOD) == (probability >= judge.threshold)


def test_the_right_thing_scores_above_the_wrong_ones(judge: CatalogueJudge) -> None:
    right = judge.judge("red backpack", make_item("Norvane Backpack, Red")).log_odds

    for wrong in ("Norvane Backpack, Blue", "Norvane Desk Lamp, Red", "Norvane Desk Lamp, Blue"):
        assert judge.judge("red backpack", make_item(wrong)).log_odds < right


def test_a_mismatch_never_speaks_for_a_pair(judge: CatalogueJudge) -> None:
    head = judge.weights.without_similarity
    names = [name for family in head.families for name in FAMILIES[family]]

    weight_of = dict(zip(names, head.weights, strict=True))

    assert all(w <= 0 for name, w in weight_of.items() if name.endswith("_mismatch"))
    assert all(w >= 0 for name, w in weight_of.items() if name.endswith("_match"))


def test_a_judge_reads_back_as_it_was_written(judge_folder: Path) -> None:
    one, other = CatalogueJudge.read(judge_folder), CatalogueJudge.read(judge_folder)

    assert one.lexicon == other.lexicon
    assert one.weights == other.weights
    assert one.fingerprint == other.fingerprint


def test_another_weight_is_another_fingerprint(judge_folder: Path, tmp_path: Path) -> None:
    for name in ("lexicon.json", "judge.json"):
        (tmp_path / name).write_bytes((judge_folder / name).read_bytes())
    content = json.loads((tmp_path / "judge.json").read_text())
    content["without_similarity"]["bias"] += 1
    (tmp_path / "judge.json").write_text(json.dumps(content))

    assert (
        CatalogueJudge.read(tmp_path).fingerprint != CatalogueJudge.read(judge_folder).fingerprint
    )


@pytest.mark.parametrize("name", ["lexicon.json", "judge.json"])
@pytest.mark.parametrize("content", [None, "{", "{}", "[]", '{"format": "something-else/9"}'])
def test_a_folder_that_holds_no_judge_is_refused_by_the_files_name(
    judge_folder: Path, tmp_path: Path, name: str, content: str | None
) -> None:
    for other in ("lexicon.json", "judge.json"):
        (tmp_path / other).write_bytes((judge_folder / other).read_bytes())
    if content is None:
        (tmp_path / name).unlink()
    else:
        (tmp_path / name).write_text(content)

    with pytest.raises(BadInput, match=name):
        CatalogueJudge.read(tmp_path)


def test_one_pair_alone_scores_as_in_a_matrix(judge: CatalogueJudge) -> None:
    reader = PairReader(judge.lexicon)
    readings = [reader.read("red backpack", item) for item in catalogue()]

    together = judge.weights.without_similarity.log_odds(np.stack([r.features for r in readings]))

    alone = [judge.log_odds(reading) for reading in readings]
    np.testing.assert_allclose(alone, np.clip(together, -8, 8), rtol=0, atol=1e-12)


def test_without_similarities_the_other_head_is_asked(judge: CatalogueJudge) -> None:
    item = make_item("Norvane Backpack, Red")
    weights = replace(judge.weights, with_similarity=None)
    plain = CatalogueJudge(judge.lexicon, weights, fingerprint="")

    given = plain.judge("red backpack", item, Similarities(0.9, 0.9, 0.9, 0.9))

    assert given.log_odds == plain.judge("red backpack", item).log_odds


def test_five_hundred_pairs_a_second_are_judged(judge: CatalogueJudge) -> None:
    items = catalogue()
    for item in items:
        judge.judge("red backpack", item)

    started = time.process_time()
    for _ in range(5):
        for item in items:
            judge.judge("red backpack", item)

    assert 5 * len(items) / (time.process_time() - started) > 500


def test_judging_loads_no_training_stack() -> None:
    code = (
        "import sys, teacher.online.catalogue\n"
        "print([m for m in ('torch', 'sklearn', 'scipy', 'pandas', 'transformers')"
        " if m in sys.modules])"
    )

    printed = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )

    assert printed.stdout.strip() == "[]"
