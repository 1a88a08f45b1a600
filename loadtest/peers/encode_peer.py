"""The peer of `ellm bench refresh`: sentence-transformers' `encode_document` on the same texts.

    python encode_peer.py MODEL TEXTS

TEXTS is a JSON list, MODEL a folder in sentence-transformers' layout. One untimed batch warms each
setting up, then all texts are encoded once and the rate is printed as JSON: float32 as the library
does by default, and bfloat16 and larger batches, which are faster on some CPUs. Texts are sorted
by length by the library itself. Threads are torch's default, one a core.
"""

import json
import sys
import time
from pathlib import Path

import torch
from sentence_transformers import MultiVectorEncoder

SETTINGS = {
    "float32, batches of 32 (default)": (torch.float32, 32),
    "float32, batches of 128": (torch.float32, 128),
    "bfloat16, batches of 32": (torch.bfloat16, 32),
    "bfloat16, batches of 128": (torch.bfloat16, 128),
}


def main(model: str, texts: list[str]) -> dict[str, float]:
    """Texts a second for each setting."""
    rates = {}
    for name, (dtype, batch_size) in SETTINGS.items():
        encoder = MultiVectorEncoder(model, device="cpu", model_kwargs={"dtype": dtype})
        encoder.encode_document(texts[:batch_size], batch_size=batch_size)
        started = time.perf_counter()
        encoder.encode_document(texts, batch_size=batch_size)
        rates[name] = len(texts) / (time.perf_counter() - started)
    return rates


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(sys.argv[1], json.loads(Path(sys.argv[2]).read_text()))))
