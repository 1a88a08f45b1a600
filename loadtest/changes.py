"""What happens to a store while load is on it: deltas, a new generation, swaps there and back.

It works on the store it is given, by the same commands an operator runs.
"""

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import cycle, islice
from pathlib import Path

from loadtest.own_service import ellm
from loadtest.swap_drill import two_generations
from relevance.domain import Item
from relevance.generation import StorePaths, read_current, switch_current

CHANGED = 40  # items of a delta


@dataclass(slots=True)
class Store:
    """A store under change; `turn` makes each change another one."""

    root: Path
    catalogue: Sequence[Item]
    scratch: Path
    turn: int = 0

    def append_delta(self) -> None:
        """Change some titles and refresh: a delta, which every worker follows."""
        self._refresh()

    def new_generation(self) -> None:
        """Change some titles and write all anew: a hot swap."""
        self._refresh("--compact")

    def swap(self, *, seconds: float, pause: float = 2.0) -> int:
        """Go back and forth between the two newest generations; how often. The newest is left."""
        store = StorePaths(self.root)
        newest, before = two_generations(store)
        swaps = max(2, 2 * round(seconds / pause / 2))
        for pair in islice(cycle((before, newest)), swaps):
            switch_current(store, pair)
            time.sleep(pause)
        return swaps

    def _refresh(self, *options: str) -> None:
        self.turn += 1
        first = self.turn * CHANGED % len(self.catalogue)
        lines = [
            json.dumps(_row(item, changed=first <= at < first + CHANGED, turn=self.turn))
            for at, item in enumerate(self.catalogue)
        ]
        items = self.scratch / "items.jsonl"
        items.write_text("\n".join(lines) + "\n", encoding="utf-8")
        bundle = StorePaths(self.root).bundle(read_current(StorePaths(self.root)).bundle)
        words = ("--bundle", bundle, "--items", items, "--store", self.root, "--workers", 1)
        ellm("refresh", *words, *options)


def _row(item: Item, *, changed: bool, turn: int) -> dict[str, object]:
    row = asdict(item) | {"attributes_json": json.dumps(dict(item.attributes))}
    del row["attributes"]
    if changed:
        row["title"] = f"{item.title} new {turn}"
    return row
