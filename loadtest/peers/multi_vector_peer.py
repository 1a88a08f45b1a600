"""The peer of `ellm bench service`: sentence-transformers behind plain FastAPI.

    python multi_vector_peer.py PORT FOLDER BUNDLE

The same item embeddings, kept as one float32 tensor; scores by sentence-transformers' MeanMaxSim.
Queries are encoded by the bundle's own ONNX graph, so that the comparison is about serving. It
runs in any environment that has torch, sentence-transformers, onnxruntime, tokenizers, fastapi
and uvicorn.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from onnx_queries import QueryEncoder
from peer_app import rows_and_texts, serve
from sentence_transformers.util import maxsim


def main(port: int, folder: Path, bundle: Path) -> None:
    """Serve precached embeddings."""
    encode = QueryEncoder(bundle)
    embeddings = torch.from_numpy(np.load(folder / "embeddings.npy"))
    row_of, _ = rows_and_texts(folder)

    def scores(query: str, item_ids: list[str]) -> list[float]:
        rows = [row_of[item_id] for item_id in item_ids]
        tokens = torch.from_numpy(encode(query))
        similarities = maxsim(tokens, embeddings[rows], length_normalize=True)[0]
        found: list[float] = torch.sigmoid(encode.weight * similarities + encode.bias).tolist()
        return found

    serve(scores, port=port)


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]))
