"""sentence-transformers' CrossEncoder: every pair of query and text through the whole model.

    python cross_encoder_peer.py PORT FOLDER MODEL

Number format and batch size are the fastest on this machine among those its documentation offers
for CPUs. Texts are cut at 16 and 32 tokens together, special ones on top, as the student's are.
"""

import sys
from pathlib import Path

import torch
from peer_app import fastest, rows_and_texts, serve
from sentence_transformers import CrossEncoder

TRIAL, MAX_TOKENS = 64, 16 + 32 + 3
SETTINGS = {
    f"{str(dtype).removeprefix('torch.')}, batches of {size}": (dtype, size)
    for dtype in (torch.float32, torch.bfloat16)
    for size in (32, 128)
}


def main(port: int, folder: Path, model: str) -> None:
    """Serve a cross-encoder."""
    row_of, texts = rows_and_texts(folder)
    models = {
        dtype: CrossEncoder(
            model, device="cpu", max_length=MAX_TOKENS, model_kwargs={"dtype": dtype}
        )
        for dtype in (torch.float32, torch.bfloat16)
    }
    trial = [("a query of four words", text) for text in texts[:TRIAL]]
    dtype, size = fastest(
        SETTINGS, lambda s: models[s[0]].predict(trial, batch_size=s[1], show_progress_bar=False)
    )
    encoder = models.pop(dtype)
    models.clear()

    def scores(query: str, item_ids: list[str]) -> list[float]:
        pairs = [(query, texts[row_of[item_id]]) for item_id in item_ids]
        found: list[float] = encoder.predict(
            pairs, batch_size=size, show_progress_bar=False
        ).tolist()
        return found

    serve(scores, port=port)


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
