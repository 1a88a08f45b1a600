"""Labels: in the trainer's pair format, whole after a crash, the teacher's opinion apart."""

import json
from collections.abc import Iterator
from multiprocessing import Pipe, Process
from multiprocessing.connection import Connection
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from relevance.domain import Label
from relevance.errors import BadInput
from relevance.records import read_pairs
from relevance.text import normalise
from service.console.labels import LabelBook
from tests.service.console.make_console import ask, console


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    return tmp_path / "labels" / "shop"


@pytest.fixture
def client(store_folder: Path, labels: Path) -> Iterator[TestClient]:
    with console(store_folder, console_labels=labels) as opened:
        yield opened


GIVEN = st.lists(
    st.tuples(
        st.sampled_from(["red bottle", "Ｒed  bottle", "oak desk", '"quoted", \u2028 line']),
        st.sampled_from(["B001", "B002", "Ω-6"]),
        st.sampled_from([Label.GOOD, Label.BAD, None]),
    ),
    min_size=1,
    max_size=12,
)


@settings(deadline=None, max_examples=25)
@given(given=GIVEN)
def test_the_trainer_reads_the_last_label_of_every_pair(tmp_path_factory, given) -> None:
    book = LabelBook(tmp_path_factory.mktemp("labels") / "shop")
    expected: dict[tuple[str, str], Label] = {}

    for query, item_id, label in given:
        count = book.label(query, item_id, label)
        expected.pop((normalise(query), item_id), None)
        if label is not None:
            expected[normalise(query), item_id] = label
        assert count == len(expected)

    if not expected:
        assert not book.path.exists()
        return
    pairs = read_pairs(book.path, labelled=True)
    read = {(p.query, p.item_id): Label.GOOD if p.good else Label.BAD for p in pairs}
    assert read == expected
    asked = {item: label for (query, item), label in expected.items() if query == "red bottle"}
    assert book.labelled("red bottle") == asked


def label_many(prefix: Path, name: str, count: int) -> None:
    for at in range(count):
        LabelBook(prefix).label(f"query {at}", name, Label.GOOD)


def test_two_processes_lose_none_of_each_others_labels(tmp_path) -> None:
    prefix = tmp_path / "shop"
    writers = [Process(target=label_many, args=(prefix, name, 25)) for name in ("one", "two")]

    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()

    assert [writer.exitcode for writer in writers] == [0, 0]
    assert len(LabelBook(prefix)) == 50


def label_and_tell(prefix: Path, told: Connection) -> None:
    for at in range(1_000_000):
        LabelBook(prefix).label(f"query {at}", "B001", Label.GOOD)
        told.send(at + 1)


@pytest.mark.parametrize("after", [1, 7, 20])
def test_a_killed_service_loses_no_label_it_has_answered(tmp_path, after) -> None:
    told, tell = Pipe(duplex=False)
    writer = Process(target=label_and_tell, args=(tmp_path / "shop", tell))

    writer.start()
    heard = 0
    while heard < after:
        heard = told.recv()
    writer.kill()
    writer.join()
    while told.poll():
        heard = told.recv()

    book = LabelBook(tmp_path / "shop")
    assert len(read_pairs(book.path, labelled=True)) in (heard, heard + 1)
    assert book.label("another", "B002", Label.BAD) == len(book)  # the lock died with its holder


def test_other_columns_of_an_existing_file_are_kept(tmp_path) -> None:
    book = LabelBook(tmp_path / "shop")
    book.path.write_text('{"query": "oak desk", "item_id": "B003", "good": 1, "subset": "wood"}\n')

    book.label("red bottle", "B001", Label.BAD)

    rows = [json.loads(line) for line in book.path.read_text().splitlines()]
    assert rows[0] == {"query": "oak desk", "item_id": "B003", "good": 1, "subset": "wood"}
    assert rows[1]["good"] == 0


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("no json", r"row 2: expected a JSON object"),
        ('["a"]', r"row 2: expected `query` and `item_id`"),
        ('{"query": "a", "item_id": "b", "good": 7}', r"row 2: good: expected 0 or 1, got 7"),
    ],
)
def test_a_file_that_is_none_of_labels_is_refused_and_stays(tmp_path, line, fault) -> None:
    book = LabelBook(tmp_path / "shop")
    content = f'{{"query": "oak desk", "item_id": "B003", "good": 1}}\n{line}\n'
    book.path.write_text(content)

    with pytest.raises(BadInput, match=fault):
        book.check()
    with pytest.raises(BadInput, match=fault):
        book.label("red bottle", "B001", Label.GOOD)

    assert book.path.read_text() == content


def test_labels_beside_pairs_in_another_format_are_refused_at_start(tmp_path, store_folder) -> None:
    (tmp_path / "shop_pairs.csv").write_text("query,item_id\n")

    with (
        pytest.raises(BadInput, match="labels are kept as shop_pairs.jsonl"),
        console(store_folder, console_labels=tmp_path / "shop"),
    ):
        pass


def test_a_label_is_kept_and_answered_with_what_the_student_thinks(client, labels) -> None:
    said = ask(client, "labels", query="steel bottle", item_id="B001", label="Bad")

    score = client.post("/score", json={"query": "steel bottle", "item_ids": ["B001"]}).json()
    assert said["labels"] == 1
    assert "teacher" not in said
    assert said["student"]["score"] == score["results"][0]["score"]
    (pair,) = read_pairs(Path(f"{labels}_pairs.jsonl"), labelled=True)
    assert (pair.query, pair.item_id, pair.good) == ("steel bottle", "B001", False)
    assert ask(client, "labelled", query="steel  bottle") == {"labelled": {"B001": "Bad"}}


def test_taking_a_label_back_tells_nothing(client) -> None:
    ask(client, "labels", query="steel bottle", item_id="B001", label="Bad")

    said = ask(client, "labels", query="steel bottle", item_id="B001", label=None)

    assert (said["labels"], said["student"]) == (0, None)
    assert ask(client, "labelled", query="steel bottle") == {"labelled": {}}


def test_what_is_no_pair_of_the_catalogue_is_refused_and_not_kept(client, labels) -> None:
    answers = [
        client.post("/console/api/labels", json={"query": query, "item_id": item, "label": "Good"})
        for query, item in (("steel", "nobody"), ("  ", "B001"))
    ]

    assert [answer.json()["error"]["code"] for answer in answers] == [
        "item_not_found",
        "empty_query",
    ]
    assert not Path(f"{labels}_pairs.jsonl").exists()


def test_without_a_file_for_labels_none_are_taken(store_folder) -> None:
    with console(store_folder) as client:
        info = client.get("/console/api/info").json()
        answer = client.post(
            "/console/api/labels", json={"query": "steel", "item_id": "B001", "label": "Good"}
        )

    assert info["labels"] is None
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "no_label_file")
