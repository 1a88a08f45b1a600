"""Streams: the pairs that whole reading finds, a row group at a time; and counts that add up."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from relevance.domain import Judgement
from relevance.errors import BadInput
from relevance.records import Pair, write_pairs
from teacher.judge_pairs import count, judge_pairs, summary, summary_of
from teacher.judgement_stream import stream_pairs
from teacher.online.catalogue import CatalogueJudge
from teacher.signal_files import NO_TABLE
from tests.teacher.make_teacher import catalogue, labelled_pairs

ITEMS = {item.item_id: item for item in catalogue()}


def judged(judge: CatalogueJudge) -> Iterator[Judgement]:
    return judge_pairs(judge, labelled_pairs()[:30], ITEMS, NO_TABLE)


def test_a_stream_reads_the_pairs_that_were_written(tmp_path: Path) -> None:
    pairs = [Pair(f"query {n}", f"{n}", (None, True, False)[n % 3]) for n in range(10_000)]
    write_pairs(tmp_path / "pairs.parquet", pairs)

    assert list(stream_pairs(tmp_path / "pairs.parquet")) == pairs


def test_other_formats_are_read_as_a_whole(tmp_path: Path) -> None:
    (tmp_path / "pairs.csv").write_text("query,item_id\nred bag,1\n")

    assert list(stream_pairs(tmp_path / "pairs.csv")) == [Pair("red bag", "1")]


@pytest.mark.parametrize(
    "row", [{"query": " ", "item_id": "1"}, {"query": "a", "item_id": "1", "good": 2}]
)
def test_a_row_that_is_no_pair_is_named(tmp_path: Path, row: dict[str, object]) -> None:
    table = pa.Table.from_pylist([{"query": "fine", "item_id": "0", "good": 1}, row])
    pq.write_table(table, tmp_path / "pairs.parquet")

    with pytest.raises(BadInput, match="row 2"):
        list(stream_pairs(tmp_path / "pairs.parquet"))


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    pq.write_table(pa.table({"query": ["a"]}), tmp_path / "pairs.parquet")

    with pytest.raises(BadInput, match="item_id"):
        list(stream_pairs(tmp_path / "pairs.parquet"))


def test_counts_of_parts_add_up_to_those_of_the_whole(judge: CatalogueJudge) -> None:
    """Shards are counted one by one, and their sum reads as the whole job's summary."""
    told = [(j.target, j.chain_of_thought) for j in judged(judge)]

    added = count(told[:7]) + count(told[7:])

    assert summary_of(added) == summary(judged(judge))
    assert summary_of(added).judgements == 30
