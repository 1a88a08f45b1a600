"""Query embeddings by the bundle's own ONNX graph, so that a comparison is not about encoders."""

import json
from pathlib import Path

import numpy as np
import onnxruntime as ort
from tokenizers import Tokenizer


class QueryEncoder:
    """Text to float32 token embeddings [tokens, dim], special tokens left out."""

    def __init__(self, bundle: Path) -> None:
        manifest = json.loads((bundle / "manifest.json").read_text())
        self.weight, self.bias = manifest["logit_weight"], manifest["logit_bias"]
        self._tokenizer = Tokenizer.from_file(str(bundle / "tokenizer.json"))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(manifest["max_query_tokens"] + 2)
        self._session = ort.InferenceSession(
            str(bundle / "encoder.onnx"), providers=["CPUExecutionProvider"]
        )

    def __call__(self, query: str) -> np.ndarray:
        """The embeddings of one query."""
        encoding = self._tokenizer.encode(query)
        ids = np.array([encoding.ids], dtype=np.int64)
        (vectors,) = self._session.run(
            None, {"input_ids": ids, "attention_mask": np.ones_like(ids)}
        )
        found: np.ndarray = vectors[0][np.array(encoding.special_tokens_mask) == 0]
        return found
