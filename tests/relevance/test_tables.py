"""Tables a shop hands us: the three formats read alike, and every fault names file and place."""

import json
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relevance.errors import BadInput
from relevance.tables import Columns, find_table, read_table

COLUMNS = Columns(
    kind="pairs",
    required={"item_id": pa.string()},
    optional={"title": pa.string(), "good": pa.int64()},
)


def write(path, rows):
    """Rows in the format the suffix names; every row has the same columns."""
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    elif path.suffix == ".jsonl":
        lines = (json.dumps(row, ensure_ascii=False) for row in rows)
        path.write_text("\n".join(lines), encoding="utf-8")
    else:
        delimiter = "\t" if path.suffix == ".tsv" else ","
        cells = [list(rows[0]), *([row[name] for name in rows[0]] for row in rows)]
        lines = (delimiter.join(map(quoted, line)) for line in cells)
        path.write_text("\n".join(lines), encoding="utf-8")
    return path


def quoted(cell):
    return "" if cell is None else '"{}"'.format(str(cell).replace('"', '""'))


EVERY_FORMAT = pytest.mark.parametrize("suffix", [".parquet", ".csv", ".tsv", ".jsonl"])


def refusal(path, columns=COLUMNS):
    with pytest.raises(BadInput) as found:
        read_table(path, columns)
    assert str(path) in str(found.value)
    return str(found.value)


@EVERY_FORMAT
def test_every_format_reads_the_same(tmp_path, suffix):
    rows = [
        {"item_id": "007", "title": "Steel, 24oz", "good": 1},
        {"item_id": "Ω-6", "title": '15" screen', "good": 0},
        {"item_id": "2020-01-01", "title": None, "good": None},
    ]

    assert read_table(write(tmp_path / f"t{suffix}", rows), COLUMNS).to_pylist() == rows


@EVERY_FORMAT
def test_line_breaks_inside_a_cell_are_kept(tmp_path, suffix):
    rows = [{"item_id": "1", "title": "two\nlines"}]

    assert read_table(write(tmp_path / f"t{suffix}", rows), COLUMNS).to_pylist() == rows


@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "item_id": st.text("0a红\",'\t \\", min_size=1).filter(str.strip),
                "title": st.none() | st.text("0a红\",'\t \\", min_size=1),
                "good": st.none() | st.integers(-(2**60), 2**60),
            }
        ),
        min_size=1,
    )
)
def test_awkward_texts_and_large_numbers_survive_every_format(tmp_path_factory, rows):
    folder = tmp_path_factory.mktemp("tables")

    for suffix in (".csv", ".jsonl"):
        assert read_table(write(folder / f"t{suffix}", rows), COLUMNS).to_pylist() == rows


@EVERY_FORMAT
def test_unknown_columns_are_passed_over_and_absent_optional_ones_stay_absent(tmp_path, suffix):
    path = write(tmp_path / f"t{suffix}", [{"price": "1", "item_id": "A"}])

    assert read_table(path, COLUMNS).to_pylist() == [{"item_id": "A"}]


@EVERY_FORMAT
def test_a_missing_column_is_named_with_those_found(tmp_path, suffix):
    path = write(tmp_path / f"t{suffix}", [{"id": "1", "title": "x"}])

    message = refusal(path)

    assert "a pairs file needs the columns item_id; missing: item_id; found: id, title" in message


@pytest.mark.parametrize(
    ("name", "text"),
    [("t.csv", "item_id,title\n"), ("t.csv", ""), ("t.jsonl", ""), ("t.jsonl", "\n \n")],
)
def test_an_empty_file_is_refused(tmp_path, name, text):
    path = tmp_path / name
    path.write_text(text)

    assert "empty" in refusal(path)


def test_a_parquet_file_without_rows_is_refused(tmp_path):
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"item_id": pa.array([], pa.string())}), path)

    assert "expected at least one row, got an empty pairs file" in refusal(path)


def test_an_absent_file_and_an_unknown_format_are_refused(tmp_path):
    (tmp_path / "t.xlsx").write_text("item_id")

    assert "expected a pairs file, found none" in refusal(tmp_path / "t.csv")
    assert "expected one of .parquet, .csv, .tsv, .jsonl, got `.xlsx`" in refusal(
        tmp_path / "t.xlsx"
    )


@pytest.mark.parametrize("name", ["t.csv", "t.jsonl"])
@pytest.mark.parametrize(("damage", "line"), [(b"\xff", 3), (b"\xe7\xba", 3), (b"\xed\xa0\x80", 3)])
def test_text_that_is_not_utf8_is_refused_with_its_line(tmp_path, name, damage, line):
    path = tmp_path / name
    path.write_bytes(b'{"item_id": "1"}\n' * 2 + b"item " + damage)

    assert f"line {line}: expected UTF-8, got byte {damage[0]:#04x}" in refusal(path)


def test_the_line_is_right_after_the_first_mebibyte(tmp_path):
    path = tmp_path / "t.csv"
    path.write_bytes(b"item_id\n" + b"a\n" * (1 << 20) + b"\xff\n")

    assert f"line {(1 << 20) + 2}:" in refusal(path)


def test_a_byte_order_mark_is_no_part_of_the_first_name(tmp_path):
    for name, text in [("t.csv", "item_id\n1"), ("t.jsonl", '{"item_id": "1"}')]:
        (tmp_path / name).write_text(text, encoding="utf-8-sig")
        assert read_table(tmp_path / name, COLUMNS).to_pylist() == [{"item_id": "1"}]


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ('{"item_id": "2"', "line 3: expected a JSON object"),
        ('["item_id", "2"]', "line 3: expected a JSON object, got"),
        ('{"item_id": 2.5}', "line 3: column `item_id`: expected text, got 2.5"),
        ('{"item_id": true}', "line 3: column `item_id`: expected text, got True"),
        ('{"item_id": ["2"]}', "line 3: column `item_id`: expected text, got ['2']"),
    ],
)
def test_a_line_that_is_no_record_is_named(tmp_path, line, fault):
    path = tmp_path / "t.jsonl"
    path.write_text('{"item_id": "1"}\n\n' + line + "\n")

    assert fault in refusal(path)


def test_numeric_ids_are_texts_with_every_digit(tmp_path):
    digits = 2**60 + 1
    (tmp_path / "t.jsonl").write_text(f'{{"item_id": {digits}}}\n{{"item_id": "007"}}')
    (tmp_path / "t.csv").write_text(f"item_id\n{digits}\n007")
    pq.write_table(pa.table({"item_id": [digits, 7]}), tmp_path / "t.parquet")

    assert read_table(tmp_path / "t.jsonl", COLUMNS)["item_id"].to_pylist() == [str(digits), "007"]
    assert read_table(tmp_path / "t.csv", COLUMNS)["item_id"].to_pylist() == [str(digits), "007"]
    assert read_table(tmp_path / "t.parquet", COLUMNS)["item_id"].to_pylist() == [str(digits), "7"]


@pytest.mark.parametrize("column", [[1.0, 2.0], [True, False], [["1"], ["2"]]])
def test_a_column_that_is_no_text_is_refused(tmp_path, column):
    pq.write_table(pa.table({"item_id": column}), tmp_path / "t.parquet")

    assert "column `item_id`: expected" in refusal(tmp_path / "t.parquet")


@pytest.mark.parametrize("kind", [pa.large_string(), pa.dictionary(pa.int32(), pa.string())])
def test_every_kind_of_text_column_is_text(tmp_path, kind):
    column = pa.array(["A", "B"]).cast(kind)
    pq.write_table(pa.table({"item_id": column}), tmp_path / "t.parquet")

    assert read_table(tmp_path / "t.parquet", COLUMNS)["item_id"].to_pylist() == ["A", "B"]


def test_bytes_are_texts_where_they_are_utf8(tmp_path):
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"item_id": [b"A", b"B"]}), path)
    assert read_table(path, COLUMNS)["item_id"].to_pylist() == ["A", "B"]

    pq.write_table(pa.table({"item_id": [b"A", b"\xff"]}), path)
    assert r"row 2: column `item_id`: expected text, got `b'\xff'`" in refusal(path)


@EVERY_FORMAT
@pytest.mark.parametrize("empty", [None, " "])
def test_a_required_cell_is_filled(tmp_path, suffix, empty):
    path = write(tmp_path / f"t{suffix}", [{"item_id": i, "title": "x"} for i in ("1", empty)])

    assert "row 2: column `item_id` is empty, expected a value" in refusal(path)


@pytest.mark.parametrize(("cell", "number"), [("1", 1), ("1.0", 1), ("", None)])
def test_whole_numbers_may_be_written_with_a_point(tmp_path, cell, number):
    path = tmp_path / "t.csv"
    path.write_text(f"item_id,good\nA,{cell}\nB,0")

    assert read_table(path, COLUMNS)["good"].to_pylist() == [number, 0]


@pytest.mark.parametrize("cell", ["yes", "0.5", "1e99", "nan"])
def test_a_cell_that_is_no_whole_number_is_named(tmp_path, cell):
    path = tmp_path / "t.csv"
    path.write_text(f"item_id,good\nA,0\nB,{cell}")

    assert f"row 2: column `good`: expected a whole number, got `{cell}`" in refusal(path)


@EVERY_FORMAT
def test_what_a_columns_values_are_is_said_as_the_table_says_it(tmp_path, suffix):
    columns = replace(COLUMNS, values={"good": "0 or 1"})
    path = write(tmp_path / f"t{suffix}", [{"item_id": str(i), "good": "yes"} for i in range(2)])

    assert "row 1: column `good`: expected 0 or 1, got `yes`" in refusal(path, columns)


def test_a_text_of_parquet_that_is_not_utf8_is_told_so(tmp_path):
    """Writers that check nothing leave such bytes in a column they call text."""
    texts = pa.StringArray.from_buffers(
        2, pa.py_buffer(bytes([0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0])), pa.py_buffer(b"A\xff")
    )
    pq.write_table(pa.table({"item_id": texts}), tmp_path / "t.parquet")

    message = refusal(tmp_path / "t.parquet")

    assert message.endswith("row 2: column `item_id`: expected text, got bytes that are not UTF-8")


@pytest.mark.parametrize("large", [2**70, -(2**63) - 1, 1e99, [1]])
def test_a_json_value_that_no_whole_number_holds_is_named_with_its_line(tmp_path, large):
    path = tmp_path / "t.jsonl"
    path.write_text(f'{{"item_id": "A", "good": 1}}\n{{"item_id": "B", "good": {large}}}\n')

    assert "2: column `good`: expected a whole number, got `" in refusal(path)


def test_values_of_several_kinds_are_read_where_each_fits_and_else_named_with_their_line(tmp_path):
    path = tmp_path / "t.jsonl"
    kinds = [1, True, "0", 0.0, None]
    path.write_text("".join(json.dumps({"item_id": "A", "good": g}) + "\n" for g in kinds))
    assert read_table(path, COLUMNS)["good"].to_pylist() == [1, 1, 0, 0, None]

    path.write_text('{"item_id": "A", "good": 1}\n\n{"item_id": "B", "good": "yes"}\n')
    assert "line 3: column `good`: expected a whole number, got `yes`" in refusal(path)


def test_a_row_with_too_many_cells_is_refused(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("item_id,title\n1,a\n2,b,c")

    assert "Expected 2 columns, got 3" in refusal(path)


def test_a_repeated_column_is_refused(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("item_id,item_id\n1,2")

    assert "expected one column `item_id`, got 2" in refusal(path)


def test_what_only_claims_to_be_parquet_is_refused(tmp_path):
    path = tmp_path / "t.parquet"
    path.write_text("item_id\n1")

    assert "not readable as parquet" in refusal(path)


def test_a_table_is_found_by_prefix_and_name(tmp_path):
    path = write(tmp_path / "shop_pairs.csv", [{"item_id": "1"}])

    assert find_table(tmp_path / "shop", "pairs") == path
    assert find_table(tmp_path / "shop", "items") is None


def test_two_files_of_one_name_are_refused(tmp_path):
    write(tmp_path / "shop_pairs.csv", [{"item_id": "1"}])
    write(tmp_path / "shop_pairs.jsonl", [{"item_id": "1"}])

    with pytest.raises(BadInput, match=r"expected one file, got .*\.csv, .*\.jsonl"):
        find_table(tmp_path / "shop", "pairs")
