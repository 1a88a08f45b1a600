"""The student's own float embeddings of texts, in the form the bundle's are compared in."""

from collections.abc import Iterable, Sequence

from exporter.bundle_scoring import EncodedPairs, EncodedText, Lengths
from trainer.students.checkpoint import Checkpoint
from trainer.students.embedding import embed_texts
from trainer.students.texts import tokenise


def torch_texts(
    checkpoint: Checkpoint, texts: Sequence[str], *, length: int
) -> dict[str, EncodedText]:
    """Each text's real tokens in torch float32, cut to `length`."""
    tokenised = tokenise(checkpoint.tokenizer, texts, length=length)
    rows = embed_texts(checkpoint.student, tokenised)
    return {
        text: EncodedText(row.numpy(), tuple(text[start:end] for start, end in each.offsets))
        for text, each, row in zip(texts, tokenised, rows, strict=True)
    }


def torch_pairs(
    checkpoint: Checkpoint, pairs: Iterable[tuple[str, str]], *, lengths: Lengths
) -> EncodedPairs:
    """The distinct texts of (query, item text) pairs."""
    kept = tuple(pairs)
    queries = tuple(dict.fromkeys(query for query, _ in kept))
    items = tuple(dict.fromkeys(item for _, item in kept))
    return EncodedPairs(
        torch_texts(checkpoint, queries, length=lengths.query),
        torch_texts(checkpoint, items, length=lengths.item),
        kept,
    )
