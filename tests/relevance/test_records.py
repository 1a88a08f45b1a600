"""A shop's files and the judgements: what is read, what is written back, what is refused where."""

import json
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relevance.domain import Item, Judgement, Relevance, Side, Target
from relevance.errors import BadInput
from relevance.records import (
    Pair,
    find_data_set,
    read_catalogue,
    read_judgements,
    read_pairs,
    read_queries,
    read_query_log,
    write_judgements,
    write_pairs,
)
from relevance.text import normalise
from tests.relevance.make_values import make_span, thoughts

SUFFIXES = [".parquet", ".csv", ".jsonl"]
EVERY_FORMAT = pytest.mark.parametrize("suffix", SUFFIXES)


def write(path, rows):
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    elif path.suffix == ".jsonl":
        path.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows))
    else:
        lines = [list(rows[0]), *([row[name] for name in rows[0]] for row in rows)]
        cells = ([str("" if c is None else c).replace('"', '""') for c in line] for line in lines)
        path.write_text("\n".join(",".join(f'"{c}"' if c else "" for c in line) for line in cells))
    return path


def refusal(read, path, **options):
    with pytest.raises(BadInput) as found:
        read(path, **options)
    assert str(path) in str(found.value)
    return str(found.value)


@EVERY_FORMAT
def test_a_catalogue_reads_the_same_from_every_format(tmp_path, suffix):
    attributes = json.dumps({"size": 42, "Ｓole": ["rubber", None, "cork"], "empty": "", "n": None})
    rows = [
        {
            "item_id": "007",
            "title": " Ｏak\u200b  desk",
            "brand": None,
            "attributes_json": attributes,
        },
        {"item_id": "Ω-6", "title": None, "brand": "Acme", "attributes_json": None},
    ]

    items = read_catalogue(write(tmp_path / f"items{suffix}", rows))

    assert items == (
        Item("007", "Oak desk", attributes=(("size", "42"), ("Sole", "rubber, cork"))),
        Item("Ω-6", "", brand="Acme"),
    )


@EVERY_FORMAT
def test_pairs_read_the_same_from_every_format(tmp_path, suffix):
    rows = [
        {"query": " Red\tshoe ", "item_id": "007", "good": 1, "subset": "head"},
        {"query": "红色 鞋", "item_id": "8", "good": 0, "subset": None},
        {"query": "desk", "item_id": "8", "good": None, "subset": None},
    ]

    assert read_pairs(write(tmp_path / f"pairs{suffix}", rows)) == (
        Pair("Red shoe", "007", True, "head"),
        Pair("红色 鞋", "8", False),
        Pair("desk", "8", None),
    )


def test_a_catalogue_of_ids_alone_has_items_without_text(tmp_path):
    path = write(tmp_path / "items.csv", [{"item_id": "1"}])

    assert read_catalogue(path) == (Item("1", ""),)


def test_one_id_with_two_titles_is_refused_naming_both_rows(tmp_path):
    rows = [{"item_id": i, "title": t} for i, t in [("1", "desk"), ("2", "lamp"), ("1", "sofa")]]

    message = refusal(read_catalogue, write(tmp_path / "items.csv", rows))

    assert "row 3: item_id `1` has the title 'sofa', but 'desk' in row 1" in message


def test_of_rows_with_one_id_and_title_the_first_counts(tmp_path):
    rows = [{"item_id": "1", "title": "desk", "brand": b} for b in ("Acme", "Apex")]

    assert read_catalogue(write(tmp_path / "items.csv", rows)) == (Item("1", "desk", "Acme"),)


@pytest.mark.parametrize("attributes", ["[1]", "{", "3"])
def test_attributes_are_a_json_object(tmp_path, attributes):
    path = write(tmp_path / "items.csv", [{"item_id": "1", "attributes_json": attributes}])

    assert "row 1: attributes_json: expected a JSON object" in refusal(read_catalogue, path)


@EVERY_FORMAT
@pytest.mark.parametrize("good", [2, -1])
def test_a_label_is_zero_or_one(tmp_path, suffix, good):
    rows = [{"query": "desk", "item_id": str(i), "good": g} for i, g in enumerate((1, good))]

    message = refusal(read_pairs, write(tmp_path / f"pairs{suffix}", rows))

    assert f"row 2: column `good`: expected 0 or 1, got {good}" in message


@EVERY_FORMAT
def test_a_label_in_words_is_told_what_a_label_is(tmp_path, suffix):
    rows = [{"query": "desk", "item_id": str(i), "good": "yes"} for i in range(2)]

    message = refusal(read_pairs, write(tmp_path / f"pairs{suffix}", rows))

    assert message.endswith("row 1: column `good`: expected 0 or 1, got `yes`")


def test_labelled_pairs_have_a_label_each(tmp_path):
    path = write(tmp_path / "pairs.csv", [{"query": "desk", "item_id": "1"}])

    assert "row 1: column `good`: expected 0 or 1" in refusal(read_pairs, path, labelled=True)
    assert read_pairs(path) == (Pair("desk", "1"),)


def test_a_query_is_not_only_white_space(tmp_path):
    path = write(tmp_path / "pairs.csv", [{"query": "\u200b", "item_id": "1"}])

    assert "row 1: column `query`: expected a text" in refusal(read_pairs, path)


def test_conflicting_labels_are_refused_and_repeated_ones_count_once(tmp_path):
    rows = [{"query": q, "item_id": "1", "good": g} for q, g in [("desk", 1), ("desk ", 1)]]
    assert read_pairs(write(tmp_path / "pairs.csv", rows)) == (Pair("desk", "1", True),)

    rows.append({"query": " desk", "item_id": "1", "good": 0})
    message = refusal(read_pairs, write(tmp_path / "pairs.csv", rows))
    assert "row 3: the pair ('desk', `1`) has good = 0, but 1 in row 1" in message

    rows[2]["good"] = None
    assert "good = nothing, but 1" in refusal(read_pairs, write(tmp_path / "pairs.csv", rows))


pairs = st.builds(
    Pair,
    st.text(min_size=1).map(normalise).filter(bool),
    st.text("ab0红 ", min_size=1).filter(str.strip),
    st.none() | st.booleans(),
    st.text("ab红"),
)


@settings(max_examples=30)
@given(st.lists(pairs, min_size=1, unique_by=lambda p: (p.query, p.item_id)))
def test_written_pairs_are_read_back(tmp_path_factory, found):
    path = tmp_path_factory.mktemp("pairs") / "pairs.parquet"

    write_pairs(path, found)

    assert read_pairs(path) == tuple(found)


def test_a_data_set_is_found_by_its_prefix(tmp_path):
    items = write(tmp_path / "shop_items.csv", [{"item_id": "1"}])
    found = [
        write(tmp_path / f"shop_{name}.jsonl", [{"query": "desk", "item_id": "1", "uv": 3}])
        for name in ("pairs", "queries_unlabelled", "query_log")
    ]

    data_set = find_data_set(tmp_path / "shop")

    assert data_set.name == "shop"
    assert data_set.items == items
    assert [data_set.pairs, data_set.queries_unlabelled, data_set.query_log] == found


def test_a_data_set_has_items_and_pairs(tmp_path):
    with pytest.raises(BadInput, match=r"shop_items.parquet\|.csv\|.jsonl: expected a file"):
        find_data_set(tmp_path / "shop")

    write(tmp_path / "shop_items.csv", [{"item_id": "1"}])
    with pytest.raises(BadInput, match="shop_pairs"):
        find_data_set(tmp_path / "shop")

    write(tmp_path / "shop_pairs.csv", [{"query": "desk", "item_id": "1"}])
    assert find_data_set(tmp_path / "shop").query_log is None


@EVERY_FORMAT
def test_queries_are_distinct_normalised_and_in_file_order(tmp_path, suffix):
    rows = [{"query": q, "n": 1} for q in ("red  shoe", "desk", "red shoe", "\u200b", "Desk")]

    assert read_queries(write(tmp_path / f"q{suffix}", rows)) == ("red shoe", "desk", "Desk")


@EVERY_FORMAT
def test_visitors_of_one_normalised_query_are_added_up(tmp_path, suffix):
    rows = [{"query": q, "uv": n} for q, n in [("red  shoe", 4), ("red shoe", 7), ("desk", 0)]]

    assert read_query_log(write(tmp_path / f"l{suffix}", rows)) == {"red shoe": 11, "desk": 0}


def make_judgement(**changes):
    plain = Judgement("teacher:x", "red shoe", "1", Target.COT, 0.5, "f00d")
    return replace(plain, **changes)


judgements = st.builds(
    Judgement,
    judge=st.sampled_from(["human", "teacher:x"]),
    query=st.text(min_size=1).map(normalise).filter(bool),
    item_id=st.sampled_from(["1", "007"]),
    target=st.sampled_from(Target),
    log_odds=st.floats(-8, 8, width=32),
    fingerprint=st.just("f00d"),
    held_out_of=st.sampled_from([None, "0", "seen"]),
    chain_of_thought=st.none() | thoughts(),
    spans=st.lists(
        st.builds(
            lambda start, relevance, side: make_span(start, start + 3, relevance, side),
            st.integers(0, 100),
            st.sampled_from(Relevance),
            st.sampled_from(Side),
        )
    ).map(tuple),
)


@settings(max_examples=30)
@given(
    st.lists(
        judgements,
        min_size=1,
        max_size=5,
        unique_by=lambda j: (j.judge, j.query, j.item_id, j.target),
    )
)
def test_written_judgements_are_read_back(tmp_path_factory, found):
    path = tmp_path_factory.mktemp("judgements") / "judgements.parquet"

    write_judgements(path, found)

    assert read_judgements(path) == tuple(found)


def test_a_pair_is_judged_once_a_target(tmp_path):
    path = tmp_path / "judgements.parquet"
    write_judgements(path, [make_judgement(), make_judgement(target=Target.DIRECT)])

    with pytest.raises(BadInput, match="judged twice: .*'red shoe', '1'"):
        write_judgements(path, [make_judgement(), make_judgement(log_odds=1.0)])

    assert len(read_judgements(path)) == 2


def test_judgements_of_other_tools_need_only_the_required_columns(tmp_path):
    plain = {"judge": "human", "query": "desk", "item_id": 7, "target": "direct", "log_odds": 3}
    path = write(tmp_path / "judgements.parquet", [{**plain, "fingerprint": "none"}])

    assert read_judgements(path) == (Judgement("human", "desk", "7", Target.DIRECT, 3.0, "none"),)


@pytest.mark.parametrize(
    ("column", "cell", "fault"),
    [
        ("target", "maybe", "row 2: 'maybe' is not a valid Target"),
        ("log_odds", 9.0, "row 2: log-odds: expected within"),
        ("chain_of_thought", "Good", "row 2: chain of thought: expected `Query attributes:`"),
        ("judge", None, "row 2: column `judge` is empty"),
    ],
)
def test_a_row_that_is_no_judgement_is_named(tmp_path, column, cell, fault):
    path = tmp_path / "judgements.parquet"
    write_judgements(path, [make_judgement(item_id=str(at)) for at in range(3)])
    rows = pq.read_table(path).to_pylist()
    rows[1][column] = cell
    pq.write_table(pa.Table.from_pylist(rows, pq.read_schema(path)), path)

    assert fault in refusal(read_judgements, path)


def test_judgements_of_another_version_are_refused(tmp_path):
    path = tmp_path / "judgements.parquet"
    write_judgements(path, [make_judgement()])
    table = pq.read_table(path).replace_schema_metadata({"format": "relevance-judgements/9"})
    pq.write_table(table, path)

    assert "expected the format relevance-judgements/1, got" in refusal(read_judgements, path)


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "pairs.parquet"
    write_pairs(path, [Pair("desk", "1", True)])

    with pytest.raises(RuntimeError, match="power cut"):
        write_pairs(path, (_ for _ in "x" if interrupted()))

    assert read_pairs(path) == (Pair("desk", "1", True),)


def interrupted():
    raise RuntimeError("power cut")
