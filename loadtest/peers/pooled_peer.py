"""One vector an item, in a flat FAISS index: what late interaction is more than.

    python pooled_peer.py PORT FOLDER BUNDLE

The mean of an item's token embeddings, of unit length; a query's likewise, by the bundle's own
ONNX graph. Candidates are found by `IDSelectorBatch`, so that FAISS computes their products only.
"""

import sys
from pathlib import Path

import faiss
import numpy as np
from onnx_queries import QueryEncoder
from peer_app import rows_and_texts, serve


def main(port: int, folder: Path, bundle: Path) -> None:
    """Serve pooled vectors."""
    encode = QueryEncoder(bundle)
    row_of, _ = rows_and_texts(folder)
    counts = np.load(folder / "token_counts.npy")
    index = pooled_index(np.load(folder / "embeddings.npy", mmap_mode="r"), counts)

    def scores(query: str, item_ids: list[str]) -> list[float]:
        rows = np.array([row_of[item_id] for item_id in item_ids], np.int64)
        distinct = np.unique(rows)
        selected = faiss.IDSelectorBatch(distinct)
        chosen = faiss.SearchParameters(sel=selected)  # type: ignore[call-arg]  # SWIG's own
        found, ids = index.search(unit(encode(query).mean(axis=0)), len(distinct), params=chosen)
        of_row = np.empty(index.ntotal, np.float32)
        of_row[ids[0]] = found[0]
        values: list[float] = of_row[rows].tolist()
        return values

    serve(scores, port=port)


def pooled_index(
    embeddings: np.ndarray, counts: np.ndarray, block: int = 4096
) -> faiss.IndexFlatIP:
    """All items' pooled vectors, of their real tokens alone, block by block."""
    index = faiss.IndexFlatIP(embeddings.shape[2])
    place = np.arange(embeddings.shape[1])
    for start in range(0, len(embeddings), block):
        rows = np.asarray(embeddings[start : start + block])
        is_token = place < counts[start : start + block, None]
        index.add(unit((rows * is_token[:, :, None]).sum(axis=1)))
    return index


def unit(vectors: np.ndarray) -> np.ndarray:
    """As float32 rows of length 1."""
    rows = np.atleast_2d(vectors).astype(np.float32)
    found: np.ndarray = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return found


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]))
