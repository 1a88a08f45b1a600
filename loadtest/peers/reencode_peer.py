"""sentence-transformers' multi-vector encoder that encodes the candidates' texts each time.

    python reencode_peer.py PORT FOLDER MODEL

What a reranker without a store does. MODEL is the same student in sentence-transformers' layout,
which encodes queries too. Number format and batch size are the fastest on this machine among
those its documentation offers for CPUs.
"""

import sys
from pathlib import Path

import torch
from peer_app import fastest, rows_and_texts, serve
from sentence_transformers import MultiVectorEncoder

TRIAL = 128  # texts
SETTINGS = {
    f"{str(dtype).removeprefix('torch.')}, batches of {size}": (dtype, size)
    for dtype in (torch.float32, torch.bfloat16)
    for size in (32, 128)
}


def main(port: int, folder: Path, model: str) -> None:
    """Serve, encoding on each request."""
    row_of, texts = rows_and_texts(folder)
    models = {
        dtype: MultiVectorEncoder(model, device="cpu", model_kwargs={"dtype": dtype})
        for dtype in (torch.float32, torch.bfloat16)
    }
    dtype, size = fastest(
        SETTINGS, lambda s: models[s[0]].encode_document(texts[:TRIAL], batch_size=s[1])
    )
    encoder = models.pop(dtype)
    models.clear()

    def scores(query: str, item_ids: list[str]) -> list[float]:
        some = [texts[row_of[item_id]] for item_id in item_ids]
        items = encoder.encode_document(some, batch_size=size)
        found: list[float] = encoder.similarity(encoder.encode_query([query]), items)[0].tolist()
        return found

    serve(scores, port=port)


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
