"""What a generation folder contains and promises, and the one switch that makes it current.

A store is a folder:

    CURRENT                     JSON {generation, bundle}: the only switch, replaced atomically
    LOCK                        held by the one writer
    bundles/<bundle id>/        the bundles its generations were made by
    generations/<id>/           immutable once it has this name:
        manifest.json           `GenerationManifest`
        embeddings.u8           uint8 [items, rows, dim], C order (zero point 128)
        token_counts.u8         uint8 [items]: real tokens; 0 = the item has no text
        truncated.u8            uint8 [items]: 1 where the text was cut to `rows` tokens
        items.arrow             Arrow IPC: item_id and the catalogue's fields, row by row
        id_hashes.u64           xxh3_64 of each item_id, ascending
        id_rows.u32             the row each of those hashes belongs to

Writing, mapping and looking up are the service's (`service.store`).
"""

from pathlib import Path
from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from relevance.atomic import write_text
from relevance.bundle import FileSeal
from relevance.errors import BadGeneration
from relevance.item_text import ItemText

FORMAT: Literal["relevance-generation/1"] = "relevance-generation/1"
MANIFEST = "manifest.json"
EMBEDDINGS, TOKEN_COUNTS, TRUNCATED = "embeddings.u8", "token_counts.u8", "truncated.u8"
ITEMS, ID_HASHES, ID_ROWS = "items.arrow", "id_hashes.u64", "id_rows.u32"
PARTS = (EMBEDDINGS, TOKEN_COUNTS, TRUNCATED, ITEMS, ID_HASHES, ID_ROWS)


class GenerationManifest(BaseModel):
    """Everything a generation says about itself."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal["relevance-generation/1"] = FORMAT
    generation_id: str = Field(pattern=r"^[0-9a-z-]{1,64}$")
    bundle_id: str = Field(pattern=r"^[0-9a-f]{16}$")
    items: int = Field(gt=0)
    rows: int = Field(gt=0)
    dim: int = Field(gt=0)
    item_text: ItemText
    created: str
    files: dict[str, FileSeal]


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
    def lock(self) -> Path:
        """The writer's lock file."""
        return self.root / "LOCK"

    def bundle(self, bundle_id: str) -> Path:
        """A bundle's folder."""
        return self.root / "bundles" / bundle_id

    def generation(self, generation_id: str) -> Path:
        """A generation's folder."""
        return self.root / "generations" / generation_id


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
    """Make a complete generation the one that answers."""
    write_text(store.current, current.model_dump_json() + "\n")


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
