"""Writing a generation's files, batch after batch; memory stays at one batch.

Naming the finished folder and switching to it is `publish.py`'s.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa

from relevance.atomic import write_text
from relevance.bundle import BundleManifest, seal
from relevance.domain import Item
from relevance.errors import BadInput
from relevance.generation import (
    EMBEDDINGS,
    ID_HASHES,
    ID_ROWS,
    ITEMS,
    MANIFEST,
    PARTS,
    TOKEN_COUNTS,
    TRUNCATED,
    GenerationManifest,
)
from service.item_codec import EncodedItems
from service.store.id_index import HashIds, IdIndex, hash_ids, sort_hashes
from service.store.item_records import SCHEMA, record_batch

ITEMS_PER_RECORD_BATCH = 16_384  # few batches keep reading a row quick; each is some 10 MB


class GenerationWriter:
    """Appends items and their rows to the files of one unfinished generation."""

    def __init__(self, folder: Path, files: ExitStack) -> None:
        self._embeddings = files.enter_context((folder / EMBEDDINGS).open("xb"))
        self._token_counts = files.enter_context((folder / TOKEN_COUNTS).open("xb"))
        self._truncated = files.enter_context((folder / TRUNCATED).open("xb"))
        self._records = files.enter_context(pa.ipc.new_file(str(folder / ITEMS), SCHEMA))
        self._waiting: list[Item] = []
        self.items = 0

    def append(self, items: Sequence[Item], encoded: EncodedItems) -> None:
        """Add items in the order they are to have."""
        if len(items) != len(encoded):
            raise ValueError(f"expected {len(items)} encoded items, got {len(encoded)}")
        self._embeddings.write(encoded.embeddings.tobytes())
        self._token_counts.write(encoded.token_counts.tobytes())
        self._truncated.write(encoded.truncated.astype(np.uint8).tobytes())
        self._waiting.extend(items)
        self.items += len(items)
        if len(self._waiting) >= ITEMS_PER_RECORD_BATCH:
            self.flush()

    def flush(self) -> None:
        """Write the items that wait for a full record batch."""
        if self._waiting:
            self._records.write_batch(record_batch(self._waiting))
        self._waiting = []


@contextmanager
def writing_files(folder: Path) -> Iterator[GenerationWriter]:
    """Open a generation's growing files in an empty folder; closed when the block ends."""
    with ExitStack() as files:
        writer = GenerationWriter(folder, files)
        yield writer
        writer.flush()


def seal_generation(
    folder: Path,
    *,
    bundle: BundleManifest,
    generation_id: str,
    created: str,
    hash_ids: HashIds = hash_ids,
) -> GenerationManifest:
    """Index the written items by id and write the manifest that makes the folder a generation.

    Raises `BadInput` where an id comes twice.
    """
    items = write_id_index(folder, hash_ids=hash_ids)
    manifest = GenerationManifest(
        generation_id=generation_id,
        bundle_id=bundle.bundle_id,
        items=items,
        rows=bundle.max_item_tokens,
        dim=bundle.dim,
        item_text=bundle.item_text,
        created=created,
        files={name: seal(folder / name) for name in PARTS},
    )
    write_text(folder / MANIFEST, manifest.model_dump_json(indent=2) + "\n")
    return manifest


def write_id_index(folder: Path, *, hash_ids: HashIds = hash_ids) -> int:
    """Write the sorted hashes of the items already in `items.arrow`; returns their number."""
    with pa.memory_map(str(folder / ITEMS)) as source:
        batches = pa.ipc.open_file(source).read_all()["item_id"].chunks
        if not batches:
            raise BadInput(f"{folder}: expected at least one item, got none")
        hashes = np.concatenate([hash_ids(batch.to_pylist()) for batch in batches])
        ascending, rows = sort_hashes(hashes)
        IdIndex(ascending, rows, pa.concat_arrays(batches)).check_distinct()
    ascending.tofile(folder / ID_HASHES)
    rows.tofile(folder / ID_ROWS)
    return len(rows)
