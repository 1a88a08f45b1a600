"""The same cross-encoder as an int8 ONNX graph, which its documentation recommends for CPUs.

    python onnx_cross_encoder_peer.py PORT FOLDER MODEL

The graph is exported and quantised (dynamic int8, weights per channel) next to MODEL once, when
it is first asked for: that is the environment's time, not a cold start's. Pairs are sorted by
length and padded within their batch. Batch size is the fastest on this machine.
"""

import sys
from pathlib import Path

import numpy as np
import onnxruntime as ort
from peer_app import fastest, rows_and_texts, serve
from tokenizers import Tokenizer

TRIAL, MAX_TOKENS = 64, 16 + 32 + 3
NAMES = ("input_ids", "attention_mask", "token_type_ids")


class Graph:
    """Pairs of texts to scores."""

    def __init__(self, model: Path) -> None:
        self._tokenizer = Tokenizer.from_file(str(model / "tokenizer.json"))
        self._tokenizer.enable_truncation(MAX_TOKENS)
        self._tokenizer.enable_padding()
        self._session = ort.InferenceSession(
            str(exported(model)), providers=["CPUExecutionProvider"]
        )

    def scores(self, pairs: list[tuple[str, str]], size: int) -> np.ndarray:
        """Probabilities in the order of the pairs."""
        order = sorted(range(len(pairs)), key=lambda at: len(pairs[at][1]))
        found = np.empty(len(pairs), np.float32)
        for start in range(0, len(order), size):
            block = order[start : start + size]
            encodings = self._tokenizer.encode_batch([pairs[at] for at in block])
            arrays = ("ids", "attention_mask", "type_ids")
            feeds = {
                name: np.array([getattr(one, array) for one in encodings], np.int64)
                for name, array in zip(NAMES, arrays, strict=True)
            }
            found[block] = self._session.run(None, feeds)[0][:, 0]
        return 1 / (1 + np.exp(-found))


def exported(model: Path) -> Path:
    """The quantised graph beside the model, made where it is not there."""
    graph = model / "int8.onnx"
    if not graph.exists():
        export(model, graph)
    return graph


def export(model: Path, graph: Path) -> None:
    """Export with torch and quantise with ONNX Runtime."""
    import onnx
    import torch
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from transformers import AutoModelForSequenceClassification

    network = AutoModelForSequenceClassification.from_pretrained(model, dtype=torch.float32).eval()
    example = {name: torch.ones(2, 8, dtype=torch.long) for name in NAMES}
    batch, tokens = torch.export.Dim("batch", min=1), torch.export.Dim("tokens", min=2, max=512)
    whole = graph.with_name("float32.onnx")
    torch.onnx.export(
        network,
        kwargs=example,
        f=str(whole),
        dynamo=True,
        dynamic_shapes={name: {0: batch, 1: tokens} for name in NAMES},
        external_data=False,
        verbose=False,
    )
    loaded = onnx.load(whole)
    del loaded.graph.value_info[:]  # shapes of the float weights, which quantising transposes
    onnx.save(loaded, whole)
    temporary = graph.with_name("making.onnx")
    quantize_dynamic(str(whole), str(temporary), per_channel=True, weight_type=QuantType.QInt8)
    whole.unlink()
    temporary.rename(graph)


def main(port: int, folder: Path, model: Path) -> None:
    """Serve the graph."""
    row_of, texts = rows_and_texts(folder)
    graph = Graph(model)
    trial = [("a query of four words", text) for text in texts[:TRIAL]]
    size = fastest({str(n): n for n in (8, 32, 128)}, lambda n: graph.scores(trial, n))

    def scores(query: str, item_ids: list[str]) -> list[float]:
        pairs = [(query, texts[row_of[item_id]]) for item_id in item_ids]
        found: list[float] = graph.scores(pairs, size).tolist()
        return found

    serve(scores, port=port)


if __name__ == "__main__":
    if sys.argv[1] == "export":
        exported(Path(sys.argv[2]))
    else:
        main(int(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]))
