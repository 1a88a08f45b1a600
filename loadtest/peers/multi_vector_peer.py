"""The peer of `ellm bench service`: sentence-transformers behind plain FastAPI.

    python multi_vector_peer.py PORT FOLDER BUNDLE

The same item embeddings, kept as one float32 tensor; scores by sentence-transformers' MeanMaxSim;
request and reply as pydantic models, as FastAPI's tutorial has it. Queries are encoded by the
bundle's own ONNX graph, so that the comparison is about serving and not about encoders. It runs in
any environment that has torch, sentence-transformers, onnxruntime, tokenizers, fastapi and uvicorn.
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime as ort
import torch
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel
from sentence_transformers.util import maxsim
from tokenizers import Tokenizer


class ScoreRequest(BaseModel):
    """A query and its candidates."""

    query: str
    item_ids: list[str]


class ScoreRow(BaseModel):
    """One candidate."""

    id: str
    index: int
    score: float


class ScoreReply(BaseModel):
    """Best first."""

    results: list[ScoreRow]


def create_app(folder: Path, bundle: Path) -> FastAPI:
    """The application over the embeddings in `folder`."""
    manifest = json.loads((bundle / "manifest.json").read_text())
    weight, bias = manifest["logit_weight"], manifest["logit_bias"]
    embeddings = torch.from_numpy(np.load(folder / "embeddings.npy"))
    row_of = {
        item_id: row for row, item_id in enumerate(json.loads((folder / "ids.json").read_text()))
    }
    tokenizer = Tokenizer.from_file(str(bundle / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(manifest["max_query_tokens"] + 2)
    session = ort.InferenceSession(str(bundle / "encoder.onnx"), providers=["CPUExecutionProvider"])

    def encode(query: str) -> torch.Tensor:
        encoding = tokenizer.encode(query)
        ids = np.array([encoding.ids], dtype=np.int64)
        (vectors,) = session.run(None, {"input_ids": ids, "attention_mask": np.ones_like(ids)})
        return torch.from_numpy(vectors[0][np.array(encoding.special_tokens_mask) == 0])

    app = FastAPI()

    @app.get("/readyz")
    def ready() -> dict[str, bool]:
        return {"ready": True}

    @app.post("/score", response_model=ScoreReply)
    def score(request: ScoreRequest) -> ScoreReply:
        rows = [row_of[item_id] for item_id in request.item_ids]
        similarities = maxsim(encode(request.query), embeddings[rows], length_normalize=True)[0]
        scores = torch.sigmoid(weight * similarities + bias)
        order = torch.argsort(scores, descending=True, stable=True)
        return ScoreReply(
            results=[
                ScoreRow(id=request.item_ids[at], index=at, score=float(scores[at]))
                for at in order.tolist()
            ]
        )

    return app


if __name__ == "__main__":
    uvicorn.run(
        create_app(Path(sys.argv[2]), Path(sys.argv[3])),
        host="127.0.0.1",
        port=int(sys.argv[1]),
        loop="uvloop",
        http="httptools",
        access_log=False,
        log_level="warning",
    )
