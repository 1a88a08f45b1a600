"""Streamed catalogues: what `read_catalogue` gives, at one batch's memory, from more sources."""

import csv
import io
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relevance.errors import BadInput
from relevance.records import read_catalogue
from relevance.text import normalise
from service.refresh import catalogue_files
from service.refresh.catalogue_source import STDIN, normalised, read_catalogue_batches
from service.refresh.spool import spool_catalogue
from service.store.item_records import items_of, record_batch, record_hashes
from tests.service.conftest import FEW, UNHURRIED

# csv's readers differ on bare carriage returns and NUL; a catalogue with those is not in question.
TEXT = st.text(
    st.characters(blacklist_categories=["Cs"], blacklist_characters="\r\0\n"), max_size=9
)
ATTRIBUTES = st.dictionaries(TEXT, TEXT | st.integers() | st.lists(TEXT, max_size=2), max_size=2)
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "item_id": st.from_regex(r"[a-z0-9]{1,3}", fullmatch=True),
            "title": TEXT,
            "brand": TEXT | st.none(),
            "bullet_points": st.sampled_from(["", "a  b", " x", "plain words", "Ｗide"]),
            "attributes_json": ATTRIBUTES.map(json.dumps) | st.none(),
        }
    ),
    min_size=1,
    max_size=6,
    unique_by=lambda row: row["item_id"],
)


def write_csv(path: Path, rows: list[dict], delimiter: str = ",") -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(
            file, list(rows[0]), delimiter=delimiter, quoting=csv.QUOTE_ALL, lineterminator="\n"
        )
        writer.writeheader()
        writer.writerows(rows)


WRITERS = {
    "jsonl": lambda path, rows: path.write_text("".join(json.dumps(row) + "\n" for row in rows)),
    "csv": write_csv,
    "tsv": lambda path, rows: write_csv(path, rows, "\t"),
    "parquet": lambda path, rows: pq.write_table(pa.Table.from_pylist(rows), path),
}


def read_all(items: Path, scratch: Path, **options) -> list:
    batches = read_catalogue_batches(items, scratch=scratch, **options)
    return [item for batch in batches for item in items_of(batch.records)]


@FEW
@given(rows=ROWS, kind=st.sampled_from(sorted(WRITERS)), at_a_time=st.sampled_from([1, 2, 100]))
def test_streaming_gives_what_reading_whole_gives(rows, kind, at_a_time, tmp_path_factory) -> None:
    folder = tmp_path_factory.mktemp("catalogue")
    WRITERS[kind](folder / f"items.{kind}", rows)
    before, catalogue_files.ROWS_AT_A_TIME = catalogue_files.ROWS_AT_A_TIME, at_a_time

    try:
        found = read_all(folder / f"items.{kind}", folder)
    finally:
        catalogue_files.ROWS_AT_A_TIME = before

    assert tuple(found) == read_catalogue(folder / f"items.{kind}")


@UNHURRIED
@given(
    texts=st.lists(
        st.text(max_size=6)
        | st.sampled_from(
            ["a b", "a  b", " a", "a ", "\x1f", "é", "e\u0301", "é ü", "Ａ", "a\u00a0b"]
        )
    )
)
def test_columns_are_normalised_as_texts_are(texts) -> None:
    texts = [text.encode("utf-8", "ignore").decode() for text in texts]

    assert normalised(pa.array(texts, pa.string())).to_pylist() == [normalise(t) for t in texts]


def test_a_null_text_is_an_empty_one() -> None:
    assert normalised(pa.array([None, "a"], pa.string())).to_pylist() == ["", "a"]


def test_a_folder_is_read_file_by_file_in_the_order_of_names(tmp_path) -> None:
    for name, kind in (("b/2", "csv"), ("a/1", "jsonl"), ("c", "parquet")):
        path = tmp_path / "in" / f"{name}.{kind}"
        path.parent.mkdir(parents=True, exist_ok=True)
        WRITERS[kind](path, [{"item_id": name, "title": kind}])
    (tmp_path / "in" / "README.txt").write_text("not a catalogue")

    found = read_all(tmp_path / "in", tmp_path)

    assert [(item.item_id, item.title) for item in found] == [
        ("a/1", "jsonl"),
        ("b/2", "csv"),
        ("c", "parquet"),
    ]


def test_standard_input_is_read_and_nothing_of_it_is_left(tmp_path) -> None:
    content = io.BytesIO(b'item_id,title\n7,"Oak, desk"\n')

    found = read_all(STDIN, tmp_path, kind="csv", stdin=content)

    assert [(item.item_id, item.title) for item in found] == [("7", "Oak, desk")]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"", "expected a header and rows, got an empty file"),
        ("a.csv", b"item_id,title\n", "expected at least one row"),
        ("a.csv", b"id,title\n1,x\n", "needs the columns item_id; missing: item_id; found: id, t"),
        ("a.csv", b"item_id,item_id\n1,x\n", "expected one column `item_id`, got 2"),
        ("a.csv", b"item_id,title\n1,x\n,y\n", "row 2: column `item_id` is empty"),
        ("a.csv", b"item_id,title\n1,\xff\n", "not readable as csv"),
        ("a.jsonl", b'{"item_id": 1}\n{"item_id"\n', "line 2: expected a JSON object"),
        ("a.jsonl", b"[1]\n", r"line 1: expected a JSON object, got b'\[1\]"),
        ("a.jsonl", b'{"title": "x"}\n', "line 1: expected `item_id`; found: title"),
        ("a.jsonl", b'{"item_id": 1.5}\n', "line 1: column `item_id`: expected text, got 1.5"),
        ("a.jsonl", b'{"item_id": 1, "attributes_json": "[]"}\n', "row 1: attributes_json"),
        ("a.txt", b"x", "expected one of .parquet, .csv, .tsv, .jsonl, got `.txt`"),
    ],
)
def test_a_wrong_file_is_refused_naming_what_is_wrong(tmp_path, name, content, message) -> None:
    (tmp_path / name).write_bytes(content)

    with pytest.raises(BadInput, match=message):
        read_all(tmp_path / name, tmp_path)


def test_numbers_that_lost_digits_are_no_ids(tmp_path) -> None:
    pq.write_table(pa.table({"item_id": [1.0, 2.0]}), tmp_path / "a.parquet")

    with pytest.raises(BadInput, match="column `item_id`: expected text or whole numbers, got dou"):
        read_all(tmp_path / "a.parquet", tmp_path)


def test_an_absent_file_an_empty_folder_and_an_unnamed_format_are_refused(tmp_path) -> None:
    with pytest.raises(BadInput, match="expected a catalogue file, found none"):
        read_all(tmp_path / "a.csv", tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadInput, match="expected files named .parquet"):
        read_all(tmp_path / "empty", tmp_path)
    with pytest.raises(BadInput, match="standard input: expected --format"):
        read_all(STDIN, tmp_path)


def spool_of(folder: Path, files: dict[str, list[dict]]):
    for name, rows in files.items():
        (folder / "in").mkdir(exist_ok=True)
        WRITERS["jsonl"](folder / "in" / f"{name}.jsonl", rows)
    return spool_catalogue(folder / "spool", read_catalogue_batches(folder / "in", scratch=folder))


def test_of_records_with_one_id_and_title_the_first_is_kept(tmp_path) -> None:
    rows = [{"item_id": f"i{at % 3}", "title": "Oak", "brand": str(at)} for at in range(7)]

    spool = spool_of(tmp_path, {"a": rows[:4], "b": rows[4:]})

    kept = [item for _, batch in spool.batches() for item in items_of(batch)]
    assert [(item.item_id, item.brand) for item in kept] == [("i0", "0"), ("i1", "1"), ("i2", "2")]
    assert spool.hashes.tolist() == record_hashes(record_batch(kept)).tolist()


def test_one_id_with_two_titles_is_refused_naming_both_rows(tmp_path) -> None:
    rows = [{"item_id": "x", "title": "Oak"}, {"item_id": "y", "title": "Oak"}]

    with pytest.raises(BadInput, match=r"b.jsonl: row 1: item_id `y` has the title 'Elm', but"):
        spool_of(tmp_path, {"a": rows, "b": [{"item_id": "y", "title": "Elm"}]})


def test_records_are_found_at_their_places(tmp_path) -> None:
    rows = [{"item_id": f"i{at}"} for at in range(50)]
    spool = spool_of(tmp_path, {"a": rows})
    wanted = np.array([0, 3, 4, 17, 49])
    found = list(spool.records_at(wanted, at_most=2))

    assert [len(places) for places, _ in found] == [2, 2, 1]
    assert [i for _, batch in found for i in batch["item_id"].to_pylist()] == [
        f"i{at}" for at in wanted.tolist()
    ]
