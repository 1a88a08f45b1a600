"""Text to token embeddings with a bundle's ONNX encoder and tokenizer.

On one thread and without padding: a text's embeddings must not depend on its neighbours (dynamic
int8 changes a row by 9e-3 in company), so which texts may share a run is `company.py`'s to say.
Quantising is not done here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol, Self

import numpy as np
import onnxruntime as ort
from jaxtyping import Bool, Float32, Int64
from tokenizers import Tokenizer

from relevance.bundle import ENCODER, TOKENIZER, BundleManifest
from relevance.errors import BadBundle
from relevance.text import normalise
from service.company import MAY_SHARE, keeps_texts_apart, runs_of
from service.execution import ON_CPU, Execution, OpenGraph, open_session

OUTPUT = "token_embeddings"


@dataclass(frozen=True, slots=True)
class TokenOffsets:
    """`[start, end)` of each real token in characters of the normalised text.

    `truncated` says that the text had more tokens than were asked for.
    """

    offsets: tuple[tuple[int, int], ...]
    truncated: bool


@dataclass(frozen=True, slots=True)
class TokenEmbeddings:
    """The real tokens of one text: unit-length vectors and where each lies in the text."""

    vectors: Float32[np.ndarray, "tokens dim"]
    offsets: tuple[tuple[int, int], ...]
    truncated: bool


class TokenEncoder(Protocol):
    """Texts to token embeddings; `limit` counts real tokens, special ones come on top."""

    def tokenise(self, text: str, *, limit: int) -> TokenOffsets:
        """Where the tokens of `text` lie, without encoding it."""
        ...

    def encode(self, text: str, *, limit: int) -> TokenEmbeddings:
        """The token embeddings of `text`; none for a text without a token."""
        ...

    def encode_all(self, texts: Sequence[str], *, limit: int) -> list[TokenEmbeddings]:
        """What `encode` gives for each text, to the bit; quicker where texts may share work."""
        ...


class OnnxTokenEncoder:
    """A bundle's encoder; safe to call from several threads.

    `may_share` says that texts up to `longest` tokens may share runs if the processor plays along.
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        session: ort.InferenceSession,
        *,
        dim: int,
        may_share: bool = False,
        longest: int = 1,
    ) -> None:
        self._tokenizer = tokenizer
        self._session = session
        self._dim = dim
        self._may_share = may_share
        self._longest = longest

    @classmethod
    def read(
        cls,
        folder: Path,
        manifest: BundleManifest,
        execution: Execution = ON_CPU,
        *,
        opened: OpenGraph = open_session,
    ) -> Self:
        """Open the encoder of a verified bundle; raises `BadBundle` where it does not run."""
        session = opened(folder / ENCODER, execution)
        may_share = manifest.precision in MAY_SHARE and execution == ON_CPU
        tokenizer = read_tokenizer(folder / TOKENIZER)
        encoder = cls(
            tokenizer,
            session,
            dim=manifest.dim,
            may_share=may_share,
            longest=manifest.max_item_tokens,
        )
        encoder._check(folder / ENCODER)
        return encoder

    def tokenise(self, text: str, *, limit: int) -> TokenOffsets:
        """Where the first `limit` real tokens lie in `normalise(text)`."""
        tokens = self._tokens(text, limit)
        return TokenOffsets(tokens.offsets, tokens.truncated)

    def encode(self, text: str, *, limit: int) -> TokenEmbeddings:
        """The embeddings of the first `limit` real tokens of `normalise(text)`."""
        tokens = self._tokens(text, limit)
        return self._embedded(tokens, self._run(tokens.ids[None])[0] if tokens.offsets else None)

    def encode_all(self, texts: Sequence[str], *, limit: int) -> list[TokenEmbeddings]:
        """What `encode` gives for each; texts of one length share a run where that is safe."""
        if not self._shares_runs:
            return [self.encode(text, limit=limit) for text in texts]
        tokens = [self._tokens(text, limit) for text in texts]
        found: dict[int, Float32[np.ndarray, "positions dim"]] = {}
        real = [at for at, one in enumerate(tokens) if one.offsets]
        for run in runs_of([len(tokens[at].ids) for at in real]):
            places = [real[at] for at in run]
            vectors = self._run(np.stack([tokens[at].ids for at in places]))
            found |= zip(places, vectors, strict=True)
        return [self._embedded(one, found.get(at)) for at, one in enumerate(tokens)]

    @cached_property
    def _shares_runs(self) -> bool:
        """Found out at the first `encode_all`: some forty runs."""
        return self._may_share and keeps_texts_apart(
            self._run, vocabulary=self._tokenizer.get_vocab_size(), longest=self._longest
        )

    def _run(
        self, ids: Int64[np.ndarray, "texts positions"]
    ) -> Float32[np.ndarray, "texts positions dim"]:
        feeds = {"input_ids": ids, "attention_mask": np.ones_like(ids)}
        vectors: np.ndarray = self._session.run([OUTPUT], feeds)[0]
        return vectors

    def _embedded(
        self, tokens: "_Tokens", vectors: Float32[np.ndarray, "positions dim"] | None
    ) -> TokenEmbeddings:
        if vectors is None:
            return TokenEmbeddings(np.empty((0, self._dim), np.float32), (), tokens.truncated)
        return TokenEmbeddings(vectors[tokens.is_real], tokens.offsets, tokens.truncated)

    def _tokens(self, text: str, limit: int) -> "_Tokens":
        encoding = self._tokenizer.encode(normalise(text))
        ids, mask, offsets = encoding.ids, encoding.special_tokens_mask, encoding.offsets
        real = [at for at, is_special in enumerate(mask) if not is_special]
        is_truncated = len(real) > limit
        if is_truncated:
            cut = set(real[limit:])
            kept = [at for at in range(len(ids)) if at not in cut]
            ids, mask, real = [ids[at] for at in kept], [mask[at] for at in kept], real[:limit]
        return _Tokens(
            ids=np.array(ids, np.int64),
            is_real=np.array(mask, np.int64) == 0,
            offsets=tuple([offsets[at] for at in real]),
            truncated=is_truncated,
        )

    def _check(self, path: Path) -> None:
        try:
            found = self.encode("a", limit=1).vectors.shape[1]
        except Exception as fault:  # ONNX Runtime's exceptions share no narrower base
            raise BadBundle(f"{path}: the encoder does not run: {fault}") from fault
        if found != self._dim:
            raise BadBundle(f"{path}: expected embeddings of {self._dim} dimensions, got {found}")


@dataclass(frozen=True, slots=True)
class _Tokens:
    """What the graph reads of one text, special tokens included; `offsets` of the real ones."""

    ids: Int64[np.ndarray, " positions"]
    is_real: Bool[np.ndarray, " positions"]
    offsets: tuple[tuple[int, int], ...]
    truncated: bool


def read_tokenizer(path: Path) -> Tokenizer:
    """A fast tokenizer that neither pads nor cuts; special tokens typed by a user are text."""
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as fault:  # tokenizers raises plain Exception
        raise BadBundle(f"{path}: not readable as a fast tokenizer: {fault}") from fault
    tokenizer.no_padding()
    tokenizer.no_truncation()
    tokenizer.encode_special_tokens = True
    return tokenizer
