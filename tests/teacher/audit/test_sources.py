from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from relevance.domain import Item, Judgement, Target
from relevance.errors import BadInput
from relevance.records import Pair, write_judgements, write_pairs
from teacher.audit.sources import Sources, join, read_known
from tests.relevance.test_judgement_files import write_shards

ITEMS = tuple(Item(f"I{n}", f"Red bottle {n}") for n in range(4))
PAIRS = tuple(Pair("red bottle", item.item_id, n % 2 == 0) for n, item in enumerate(ITEMS))


def judged(pair: Pair, log_odds: float = 2.0, held_out_of: str | None = "outer-0") -> Judgement:
    return Judgement(
        judge="catalogue",
        query=pair.query,
        item_id=pair.item_id,
        target=Target.DIRECT,
        log_odds=log_odds,
        fingerprint="f/1",
        held_out_of=held_out_of,
    )


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    rows = [{"item_id": item.item_id, "title": item.title} for item in ITEMS]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "shop_items.parquet")
    write_pairs(tmp_path / "shop_pairs.parquet", [*PAIRS, Pair("unlabelled", "I0")])
    return tmp_path / "shop"


def judgements(folder: Path, *rows: Judgement, name: str = "judgements") -> Path:
    write_judgements(folder / f"{name}.parquet", rows)
    return folder / f"{name}.parquet"


def scores(folder: Path, logits: list[float | None], name: str = "scores") -> Path:
    rows = [
        {"query": p.query, "item_id": p.item_id, "good": int(p.good or 0), "logit": logit}
        for p, logit in zip(PAIRS, logits, strict=True)
    ]
    pq.write_table(pa.Table.from_pylist(rows), folder / f"{name}.parquet")
    return folder / f"{name}.parquet"


def test_labels_judgements_and_scores_meet_by_query_and_item(shop, tmp_path) -> None:
    found = join(
        Sources(
            data=shop,
            judgements=[judgements(tmp_path, *(judged(p) for p in reversed(PAIRS[:3])))],
            student_scores=[scores(tmp_path, [0.5, None, -1.0, 2.0])],
        )
    )

    assert [case.pair for case in found.cases] == list(PAIRS[:3])
    assert [case.logit for case in found.cases] == [0.5, None, -1.0]
    assert [case.item for case in found.cases] == list(ITEMS[:3])
    assert (found.pairs, found.not_judged, found.seen, found.judge) == (4, 1, 0, "catalogue")


def test_judgements_that_have_seen_the_label_count_only_when_asked_for(shop, tmp_path) -> None:
    rows = (judged(PAIRS[0]), judged(PAIRS[1], held_out_of="seen"))
    sources = Sources(data=shop, judgements=[judgements(tmp_path, *rows)])

    without, with_seen = join(sources), join(replace(sources, with_seen=True))

    assert (len(without.cases), without.seen) == (1, 1)
    assert (len(with_seen.cases), with_seen.seen) == (2, 0)
    assert (without.seen_used, with_seen.seen_used) == (0, 1)


def test_of_several_judgements_of_a_pair_the_outer_folds_counts(shop, tmp_path) -> None:
    inner = judgements(tmp_path, judged(PAIRS[0], -1.0, "inner-1"), name="fold1")
    outer = judgements(tmp_path, judged(PAIRS[0], 3.0, "outer-0"), name="fold0")

    for order in ([inner, outer], [outer, inner]):
        cases = join(Sources(data=shop, judgements=order)).cases
        assert [case.judgement.log_odds for case in cases] == [3.0]


def test_a_finished_jobs_folder_is_read_as_one_file_and_an_unfinished_ones_is_refused(
    shop, tmp_path
) -> None:
    shards = write_shards(tmp_path, [[judged(pair)] for pair in PAIRS])

    assert len(join(Sources(data=shop, judgements=[shards])).cases) == 4

    write_shards(tmp_path, [[judged(PAIRS[0])]], state="running")
    with pytest.raises(BadInput, match="the folder of a finished `ellm teach judge`"):
        join(Sources(data=shop, judgements=[shards]))


@pytest.mark.parametrize("target", [Target.COT, Target.MARGINAL])
def test_another_target_is_no_judgement_here(shop, tmp_path, target) -> None:
    path = judgements(tmp_path, judged(PAIRS[0]))

    with pytest.raises(BadInput, match=f"expected `{target}` judgements of labelled pairs"):
        join(Sources(data=shop, judgements=[path], target=target))


def test_two_judges_are_refused_until_one_is_chosen(shop, tmp_path) -> None:
    other = replace(judged(PAIRS[0], -3.0), judge="qwen")
    path = judgements(tmp_path, judged(PAIRS[0]), other)

    with pytest.raises(BadInput, match="one judge, got catalogue, qwen\nhint: choose one"):
        join(Sources(data=shop, judgements=[path]))
    chosen = join(Sources(data=shop, judgements=[path], judge="qwen"))
    assert [case.judgement.log_odds for case in chosen.cases] == [-3.0]


def test_scores_of_two_students_are_refused(shop, tmp_path) -> None:
    paths = [scores(tmp_path, [1.0] * 4), scores(tmp_path, [2.0] * 4, name="other")]

    with pytest.raises(BadInput, match="expected the scores of one student"):
        join(
            Sources(
                data=shop, judgements=[judgements(tmp_path, judged(PAIRS[0]))], student_scores=paths
            )
        )


def test_where_every_judge_saw_the_label_the_hint_says_what_to_do(shop, tmp_path) -> None:
    path = judgements(tmp_path, judged(PAIRS[0], held_out_of="seen"))

    with pytest.raises(BadInput, match="1 judgements had seen the label.*\nhint: --with-seen"):
        join(Sources(data=shop, judgements=[path]))


def test_an_empty_folder_of_judgements_is_refused(shop, tmp_path) -> None:
    (tmp_path / "none").mkdir()

    with pytest.raises(BadInput, match=r"the folder of a finished .* found no manifest.json"):
        join(Sources(data=shop, judgements=[tmp_path / "none"]))


def test_what_is_known_is_read_from_judgements(tmp_path) -> None:
    path = judgements(tmp_path, judged(PAIRS[0], 1.0), judged(PAIRS[1], -1.0))

    assert read_known([path]) == {("red bottle", "I0"): True, ("red bottle", "I1"): False}
