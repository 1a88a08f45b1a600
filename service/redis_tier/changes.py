"""Which records changed, as a Redis Stream: announced by writers, followed by replicas.

An entry says only which item changed; the record itself says what it is now, so entries may be
read twice and late. `Position` is where a reader stands, kept on disk.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from relevance.atomic import write_text
from service.redis_tier.door import Entry, RedisDoor

KEPT_ENTRIES = 1_000_000  # some 100 MB in Redis; a replica further behind fills itself anew
START = "0-0"


class Position(BaseModel):
    """The last entry of a stream that a reader has dealt with, and what it applied entries to."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    stream: str
    target: str
    entry: str = Field(pattern=r"^\d+-\d+$")


@dataclass(frozen=True, slots=True)
class PositionFile:
    """Where a reader keeps its position; replaced atomically."""

    path: Path

    def read(self, *, stream: str, target: str) -> str | None:
        """The last entry, None where nothing (readable) was kept for this stream and target."""
        try:
            kept = Position.model_validate_json(self.path.read_bytes())
        except (OSError, ValidationError):
            return None
        return kept.entry if (kept.stream, kept.target) == (stream, target) else None

    def keep(self, *, stream: str, target: str, entry: str) -> None:
        """Remember an entry as dealt with."""
        position = Position(stream=stream, target=target, entry=entry)
        write_text(self.path, position.model_dump_json() + "\n")


@dataclass(frozen=True, slots=True)
class ChangeStream:
    """One stream."""

    door: RedisDoor
    stream: str

    def announce(self, item_ids: Sequence[str], *, keep: int = KEPT_ENTRIES) -> None:
        """Say that these items' records changed."""
        if item_ids:
            self.door.append(self.stream, [{"id": item_id} for item_id in item_ids], keep=keep)

    def after(self, entry: str, *, count: int, wait_ms: int) -> list[Entry]:
        """Entries after one, waiting for the first."""
        return self.door.read(self.stream, after=entry, count=count, wait_ms=wait_ms)

    def newest(self) -> str:
        """Where a reader starts that has everything up to now."""
        return self.door.last_entry_id(self.stream)

    def continues_after(self, entry: str) -> bool:
        """Whether a reader that stands at `entry` misses nothing.

        So where the stream still holds that entry, or nothing came after it. Otherwise it may
        have been trimmed, or the stream is another one than it was: the reader must start anew.
        """
        if entry == START:
            return self.door.is_whole(self.stream)
        return self.newest() == entry or self.door.has_entry(self.stream, entry)
