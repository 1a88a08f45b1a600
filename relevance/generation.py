"""What a generation folder contains and promises, and the one switch that makes it current.

A store is a folder:

    CURRENT                     JSON {generation, bundle}: the only switch, replaced atomically
    HISTORY                     one such JSON a line for each switch, appended
    LOCK                        held by whoever builds or removes generations
    DELTA_LOCK                  held for the moment of an append or of the switch
    bundles/<bundle id>/        the bundles its generations were made by
    generations/<id>/           immutable once it has this name:
        manifest.json           `GenerationManifest`
        embeddings.u8           uint8 [items, rows, dim], C order (`late_interaction.item_steps`)
        token_counts.u8         uint8 [items]: real tokens; 0 = the item has no text
        truncated.u8            uint8 [items]: 1 where the text was cut to `rows` tokens
        items.arrow             Arrow IPC: item_id and the catalogue's fields, row by row
        content_hashes.u64      uint64 [items, 2]: xxh3_64 of the text the encoder saw, and of all
                                fields of the item
        ids.utf8, id_offsets.u64  the ids' UTF-8 one after the other; uint64 [items + 1] offsets
        id_hashes.u64           xxh3_64 of each item_id, ascending
        id_rows.u32             the row each of those hashes belongs to
        id_buckets.u32          where the hashes with each leading bits begin (`service.store`)
        chunks.u64              xxh3_64 of every MiB of the parts above, in the order of `PARTS`
    deltas/<id>/                changes since, `<first>-<last>.delta` by sequence, append-only
    quarantine/<id>/            generations found damaged

All numbers are little-endian. Format 1 had neither content hashes, ids, buckets nor chunks, and
sealed each part by SHA-256; it is still read. Writing, mapping and looking up are the service's
(`service.store`).
"""

from contextlib import suppress
from pathlib import Path
from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from relevance.atomic import write_text
from relevance.bundle import FileSeal
from relevance.errors import BadGeneration
from relevance.item_text import ItemText

FORMAT_1: Literal["relevance-generation/1"] = "relevance-generation/1"
FORMAT: Literal["relevance-generation/2"] = "relevance-generation/2"
MANIFEST = "manifest.json"
EMBEDDINGS, TOKEN_COUNTS, TRUNCATED = "embeddings.u8", "token_counts.u8", "truncated.u8"
ITEMS, CONTENT_HASHES = "items.arrow", "content_hashes.u64"
IDS, ID_OFFSETS = "ids.utf8", "id_offsets.u64"
ID_HASHES, ID_ROWS, ID_BUCKETS = "id_hashes.u64", "id_rows.u32", "id_buckets.u32"
CHUNKS = "chunks.u64"
PARTS_1 = (EMBEDDINGS, TOKEN_COUNTS, TRUNCATED, ITEMS, ID_HASHES, ID_ROWS)
PARTS = (
    EMBEDDINGS,
    TOKEN_COUNTS,
    TRUNCATED,
    ITEMS,
    CONTENT_HASHES,
    IDS,
    ID_OFFSETS,
    ID_HASHES,
    ID_ROWS,
    ID_BUCKETS,
)
CHUNK_BYTES = 1 << 20  # a chunk of chunks.u64; the last one of a part may be shorter


class GenerationManifest(BaseModel):
    """Everything a generation says about itself.

    `created` is the moment before its catalogue was read: later changes are not in its base.
    `dim` is the bytes of a row: the bundle's dimensions, or half of them where `bits` of a
    value are four.
    `sizes` are the bytes of each of `PARTS`. `files` seals by SHA-256: the chunk digests, which
    in turn seal the parts; in format 1 the parts themselves.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal["relevance-generation/1", "relevance-generation/2"] = FORMAT
    generation_id: str = Field(pattern=r"^[0-9a-z-]{1,64}$")
    bundle_id: str = Field(pattern=r"^[0-9a-f]{16}$")
    items: int = Field(gt=0)
    rows: int = Field(gt=0)
    dim: int = Field(gt=0)
    bits: Literal[8, 4] = 8
    item_text: ItemText
    created: str
    sizes: dict[str, int] = {}
    files: dict[str, FileSeal]

    @property
    def item_bytes(self) -> int:
        """Bytes of one item's embeddings."""
        return self.rows * self.dim


class Current(BaseModel):
    """The generation that answers requests, and the bundle that made it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    generation: str = Field(pattern=r"^[0-9a-z-]{1,64}$")
    bundle: str = Field(pattern=r"^[0-9a-f]{16}$")


class StorePaths(NamedTuple):
    """Where things lie in a store."""

    root: Path

    @property
    def current(self) -> Path:
        """The switch."""
        return self.root / "CURRENT"

    @property
    def history(self) -> Path:
        """The switches there were."""
        return self.root / "HISTORY"

    @property
    def lock(self) -> Path:
        """The writer's lock file."""
        return self.root / "LOCK"

    @property
    def delta_lock(self) -> Path:
        """The lock file of appends and of the switch."""
        return self.root / "DELTA_LOCK"

    @property
    def generations(self) -> Path:
        """The folder of all generations."""
        return self.root / "generations"

    @property
    def bundles(self) -> Path:
        """The folder of all bundles."""
        return self.root / "bundles"

    def deltas(self, generation_id: str) -> Path:
        """The folder of a generation's changes; absent where there are none."""
        return self.root / "deltas" / generation_id

    def quarantine(self, generation_id: str) -> Path:
        """Where a damaged generation is put."""
        return self.root / "quarantine" / generation_id

    def bundle(self, bundle_id: str) -> Path:
        """A bundle's folder."""
        return self.bundles / bundle_id

    def generation(self, generation_id: str) -> Path:
        """A generation's folder."""
        return self.generations / generation_id


def read_current(store: StorePaths) -> Current:
    """What the store answers with; raises `BadGeneration` where nothing was published yet."""
    try:
        return Current.model_validate_json(store.current.read_bytes())
    except OSError as fault:
        raise BadGeneration(
            f"{store.current}: expected a published generation: {fault.strerror}\n"
            "hint: `ellm refresh` builds and publishes one"
        ) from fault
    except ValidationError as fault:
        reason = fault.errors()[0]["msg"]
        raise BadGeneration(f"{store.current}: expected generation and bundle: {reason}") from fault


def switch_current(store: StorePaths, current: Current) -> None:
    """Make a complete generation the one that answers, and note that it was."""
    line = current.model_dump_json() + "\n"
    write_text(store.current, line)
    with store.history.open("a", encoding="utf-8") as history:
        history.write(line)


def read_history(store: StorePaths) -> list[Current]:
    """Every generation that was current, in that order; a line a crash cut short is left out."""
    try:
        lines = store.history.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []
    switches = []
    for line in lines:
        with suppress(ValidationError):
            switches.append(Current.model_validate_json(line))
    return switches


def read_manifest(folder: Path) -> GenerationManifest:
    """Read a generation's manifest; raises `BadGeneration` where it is absent or malformed."""
    path = folder / MANIFEST
    try:
        return GenerationManifest.model_validate_json(path.read_bytes())
    except OSError as fault:
        raise BadGeneration(
            f"{path}: expected a generation's manifest: {fault.strerror}"
        ) from fault
    except ValidationError as fault:
        raise BadGeneration(f"{path}: malformed: {fault.errors()[0]['msg']}") from fault
