"""Labels that people give in the console, kept in the trainer's pair format.

`<prefix>_pairs.jsonl` holds `query`, `item_id`, `good` (1 or 0) and `labelled_at`; with a
`<prefix>_items` file beside it, it is a data set that `ellm train` reads. Every label replaces the
file as a whole: a crash leaves the old file or the new one, never half a line. That costs a
rewriting per label (some ms for 10,000 of them), which a person does not notice.
"""

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from relevance.atomic import write_text
from relevance.domain import Label
from relevance.errors import BadInput
from relevance.tables import find_table
from relevance.text import normalise

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class LabelBook:
    """The labelled pairs of one file; safe to share between threads and processes."""

    prefix: Path

    @property
    def path(self) -> Path:
        """Where the pairs lie."""
        return Path(f"{self.prefix}_pairs.jsonl")

    def check(self) -> None:
        """Raise `BadInput` where labels cannot be kept here, before anyone gives one."""
        found = find_table(self.prefix, "pairs")
        if found not in (None, self.path):
            raise BadInput(f"{found}: labels are kept as {self.path.name}, beside no other file")
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self._alone():
            self._rows()

    def label(self, query: str, item_id: str, label: Label | None) -> int:
        """Keep a pair's label in place of an earlier one, None for none; returns how many pairs."""
        pair = (normalise(query), item_id)
        with self._alone():
            rows = [row for row in self._rows() if _pair_of(row) != pair]
            if label is not None:
                rows.append(_row(pair, label))
            self._write(rows)
            return len(rows)

    def labelled(self, query: str) -> dict[str, Label]:
        """The labels of a query's pairs, by item id."""
        query = normalise(query)
        return {
            item_id: _label_of(row)
            for row in self._rows()
            for asked, item_id in [_pair_of(row)]
            if asked == query and row["good"] is not None
        }

    def __len__(self) -> int:
        return len(self._rows())

    @contextmanager
    def _alone(self) -> Iterator[None]:
        with Path(f"{self.path}.lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # given back when the file closes
            yield

    def _rows(self) -> list[Row]:
        if not self.path.exists():
            return []
        lines = self.path.read_text(encoding="utf-8").removesuffix("\n").split("\n")
        return [_checked(self.path, number, line) for number, line in enumerate(lines, start=1)]

    def _write(self, rows: list[Row]) -> None:
        if not rows:  # a data set's file is never empty
            self.path.unlink(missing_ok=True)
            return
        lines = (json.dumps(row, ensure_ascii=False) for row in rows)
        write_text(self.path, "".join(f"{line}\n" for line in lines))


def _row(pair: tuple[str, str], label: Label) -> Row:
    query, item_id = pair
    now = datetime.now(UTC).isoformat(timespec="seconds")
    good = int(label is Label.GOOD)
    return {"query": query, "item_id": item_id, "good": good, "labelled_at": now}


def _pair_of(row: Row) -> tuple[str, str]:
    return normalise(row["query"]), row["item_id"]


def _label_of(row: Row) -> Label:
    return Label.GOOD if row["good"] else Label.BAD


def _checked(path: Path, number: int, line: str) -> Row:
    try:
        row = json.loads(line)
    except ValueError as fault:
        raise BadInput(f"{path}: row {number}: expected a JSON object: {fault}") from fault
    texts = isinstance(row, dict) and [row.get("query"), row.get("item_id")]
    if not texts or not all(isinstance(text, str) and text for text in texts):
        raise BadInput(f"{path}: row {number}: expected `query` and `item_id` as texts")
    if row.get("good") not in (0, 1, None):
        raise BadInput(f"{path}: row {number}: good: expected 0 or 1, got {row['good']!r}")
    return {"good": None, **row}
