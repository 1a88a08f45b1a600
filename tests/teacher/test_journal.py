"""The journal: whatever was appended is found again, and a torn end is cut off."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relevance.errors import Unavailable
from teacher.journal import Journal

RECORDS = st.lists(st.dictionaries(st.text(max_size=5), st.text(max_size=9)), max_size=5)


def written(path: Path, records: list[dict[str, str]]) -> bytes:
    path.unlink(missing_ok=True)
    with Journal(path) as journal:
        for record in records:
            journal.append(record)
    return path.read_bytes()


@settings(max_examples=40, deadline=None)
@given(RECORDS, st.integers(0))
def test_a_journal_torn_anywhere_keeps_every_whole_record(
    tmp_path_factory: pytest.TempPathFactory, records: list[dict[str, str]], cut: int
) -> None:
    """A kill in the middle of a write costs that record alone."""
    path = tmp_path_factory.getbasetemp() / "torn.journal"
    whole = written(path, records)
    cut %= len(whole) + 1
    path.write_bytes(whole[:cut])

    with Journal(path) as journal:
        assert journal.records == records[: whole[:cut].count(b"\n")]
        journal.append({"after": "it"})
    with Journal(path) as journal:
        assert journal.records == [*records[: whole[:cut].count(b"\n")], {"after": "it"}]


def test_a_damaged_record_and_what_follows_are_not_believed(tmp_path: Path) -> None:
    """A flipped bit is noticed; the records before it stand."""
    path = tmp_path / "journal"
    whole = bytearray(written(path, [{"a": "1"}, {"b": "2"}, {"c": "3"}]))
    whole[whole.index(b"2")] ^= 1
    path.write_bytes(whole)

    with Journal(path) as journal:
        assert journal.records == [{"a": "1"}]


def test_two_writers_are_refused(tmp_path: Path) -> None:
    """The second run is told; the first one's journal is untouched."""
    with Journal(tmp_path / "journal") as first:
        first.append({"a": 1})
        with pytest.raises(Unavailable, match="another run"):
            Journal(tmp_path / "journal", patience_s=0)

    with Journal(tmp_path / "journal") as later:
        assert later.records == [{"a": 1}]
