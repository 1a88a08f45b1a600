import json
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest import client_agreement
from loadtest.client_agreement import Journal, PublicClients, Question
from loadtest.public_clients import CLIENTS
from relevance.errors import Unavailable

REQUESTS = [{"query": str(at), "documents": ["a", "b"]} for at in range(3)]
# Stands where an environment's interpreter does: answers by position, but at most so many times.
PLAYED = """#!{python}
import json, sys
question, left = json.load(sys.stdin), {most}
for name, answered in question["answered"].items():
    for one in question["requests"][answered:]:
        if not left:
            sys.exit("out of answers")
        left -= 1
        print(json.dumps([name, [[int(one["query"]), len(name)]]]), flush=True)
"""


def played(folder: Path, *, most: int = 10_000) -> PublicClients:
    path = folder / "python"
    path.write_text(PLAYED.format(python=sys.executable, most=most))
    path.chmod(0o755)
    return PublicClients(path, "http://service")


def test_the_clients_are_asked_about_items_that_have_a_score(tmp_path) -> None:
    write(tmp_path / "shop_items.jsonl", [{"item_id": n, "title": f"title {n}"} for n in "abc"])
    write(tmp_path / "shop_pairs.jsonl", [{"query": "q", "item_id": "a"}])
    expected = {("q", "a"): 0.5, ("q", "b"): None, ("q", "c"): 0.25, ("r", "a"): 0.125}

    asked = client_agreement.questions(tmp_path / "shop", expected, limit=1)

    assert asked == [Question("q", ("a", "c"), ("title a", "title c"))]
    assert asked[0].request(by_id=True)["documents"] == [{"id": "a"}, {"id": "c"}]


def write(path: Path, rows: list[dict]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


names = st.sampled_from(["one", "other"])
ranked = st.lists(st.tuples(st.integers(0, 9), st.floats(0, 1)).map(list), max_size=3)


@given(answers=st.lists(st.tuples(names, ranked), max_size=8), data=st.data())
def test_a_journal_cut_anywhere_keeps_every_whole_answer_and_goes_on(
    tmp_path_factory, answers, data
) -> None:
    """Scores come back to the last bit, and what follows the cut is as if there had been none."""
    path = tmp_path_factory.mktemp("journal") / "answers.jsonl"
    journal = Journal(path)
    for who, rows in answers:
        journal.add(who, rows)
    content = path.read_bytes() if answers else b""
    kept = content[: data.draw(st.integers(0, len(content)))]
    path.write_bytes(kept)

    again = Journal(path)
    assert again.count == kept.count(b"\n")
    for who, rows in answers[again.count :]:
        again.add(who, rows)

    for found in (again, Journal(path)):
        for name in ("one", "other"):
            assert found.of(name) == [rows for who, rows in answers if who == name]


@pytest.mark.parametrize("most", [1, 14])
def test_clients_cut_off_are_asked_for_the_rest_and_nothing_twice(tmp_path, most) -> None:
    path = tmp_path / "answers.jsonl"
    with pytest.raises(Unavailable, match="out of answers"):
        played(tmp_path, most=most).answers(REQUESTS, Journal(path))
    assert Journal(path).count == most

    rest = played(tmp_path, most=len(CLIENTS) * len(REQUESTS) - most)
    found = rest.answers(REQUESTS, Journal(path))

    assert found == {name: [[[at, len(name)]] for at in range(3)] for name in CLIENTS}
