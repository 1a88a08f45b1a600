"""What differs between two generations of a store, by the hashes of their contents."""

from dataclasses import dataclass

import numpy as np

from service.store.generation_reader import GenerationReader

ROWS_AT_A_TIME = 16_384
EXAMPLES = 5


@dataclass(frozen=True, slots=True)
class GenerationDifference:
    """Items of the newer against the older one; a few ids of each kind as examples.

    `changed_rows` counts items whose text is the same and whose embeddings are not, which happens
    between two bundles.
    """

    added: int
    removed: int
    changed_text: int
    changed_fields: int
    changed_rows: int
    examples: dict[str, tuple[str, ...]]


def compare_generations(old: GenerationReader, new: GenerationReader) -> GenerationDifference:
    """Compare every live item; a batch at a time."""
    counts = dict.fromkeys(("added", "changed_text", "changed_fields", "changed_rows"), 0)
    examples: dict[str, tuple[str, ...]] = dict.fromkeys((*counts, "removed"), ())
    is_seen = np.zeros(len(old.token_counts), np.bool_)
    rows = new.live_rows()
    for start in range(0, len(rows), ROWS_AT_A_TIME):
        ours = rows[start : start + ROWS_AT_A_TIME]
        ids = np.array(new.item_ids(ours), object)
        theirs = old.rows_of(ids.tolist())
        is_known = theirs >= 0
        is_seen[theirs[is_known]] = True
        for kind, is_so in _kinds(old, new, ours, theirs).items():
            counts[kind] += int(np.count_nonzero(is_so))
            examples[kind] = (*examples[kind], *ids[is_so].tolist())[:EXAMPLES]
    gone = old.live_rows()
    gone = gone[~is_seen[gone]]
    examples["removed"] = tuple(old.item_ids(gone[:EXAMPLES]))
    return GenerationDifference(removed=len(gone), examples=examples, **counts)


def _kinds(
    old: GenerationReader, new: GenerationReader, ours: np.ndarray, theirs: np.ndarray
) -> dict[str, np.ndarray]:
    is_known = theirs >= 0
    known = np.flatnonzero(is_known)
    hashes = new.content_hashes(ours[known]), old.content_hashes(theirs[known])
    kinds = {name: np.zeros(len(ours), np.bool_) for name in ("text", "fields", "rows")}
    kinds["text"][known] = hashes[0][:, 0] != hashes[1][:, 0]
    kinds["fields"][known] = hashes[0][:, 1] != hashes[1][:, 1]
    if old.arena.shape[1:] == new.arena.shape[1:]:
        same = (new.arena[ours[known]] == old.arena[theirs[known]]).all(axis=(1, 2))
        kinds["rows"][known] = ~same
    else:
        kinds["rows"][known] = True
    return {
        "added": ~is_known,
        "changed_text": kinds["text"],
        "changed_fields": kinds["fields"] & ~kinds["text"],
        "changed_rows": kinds["rows"] & ~kinds["text"],
    }
