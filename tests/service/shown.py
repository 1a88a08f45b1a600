"""What a store shows, for tests that compare stores."""

from pathlib import Path

from relevance.domain import Item
from relevance.generation import PARTS, StorePaths, read_current
from service.store.generation_reader import GenerationReader, open_generation


def parts_of(store: Path) -> dict[str, bytes]:
    paths = StorePaths(store)
    folder = paths.generation(read_current(paths).generation)
    return {name: (folder / name).read_bytes() for name in PARTS}


def read(store: Path, bundle) -> GenerationReader:
    paths = StorePaths(store)
    return open_generation(paths.generation(read_current(paths).generation), bundle)


def shown(reader: GenerationReader) -> dict[str, tuple[Item, bytes, int, int]]:
    rows = reader.live_rows().tolist()
    return {
        item.item_id: (
            item,
            reader.arena[row].tobytes(),
            int(reader.token_counts[row]),
            int(reader.truncated[row]),
        )
        for row, item in zip(rows, reader.items(rows), strict=True)
    }
