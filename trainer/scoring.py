"""Score pairs with a student in torch: what evaluation and early stopping use.

The served scores come from the bundle's integer graphs; the exporter holds those to these.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch

from relevance.domain import Item
from relevance.records import Pair
from trainer.examples import TextLengths, TextTable, tokenise_texts
from trainer.students.checkpoint import Checkpoint
from trainer.students.colbert import ColBERT, mean_maxsim, similarities
from trainer.students.embedding import embed_texts
from trainer.students.precision import mixed_precision

BATCH_PAIRS = 512


@torch.inference_mode()
def score_pairs(student: ColBERT, pairs: Sequence[Pair], texts: TextTable) -> np.ndarray:
    """Logits of `pairs` in float64; NaN for a pair whose query or item has no token."""
    queries = list(dict.fromkeys(pair.query for pair in pairs))
    items = list(dict.fromkeys(pair.item_id for pair in pairs))
    with mixed_precision():
        query_tokens = embed_texts(student, [texts.queries[query] for query in queries])
        item_tokens = embed_texts(student, [texts.items[item_id] for item_id in items])
    query_rows = dict(zip(queries, query_tokens, strict=True))
    item_rows = dict(zip(items, item_tokens, strict=True))
    logits = np.full(len(pairs), np.nan)
    for start in range(0, len(pairs), BATCH_PAIRS):
        chunk = pairs[start : start + BATCH_PAIRS]
        usable = [
            at
            for at, p in enumerate(chunk)
            if len(query_rows[p.query]) and len(item_rows[p.item_id])
        ]
        if usable:
            values = _chunk_logits(
                student,
                [query_rows[chunk[at].query] for at in usable],
                [item_rows[chunk[at].item_id] for at in usable],
            )
            logits[[start + at for at in usable]] = values
    return logits


def score_text_pairs(
    checkpoint: Checkpoint, pairs: Sequence[Pair], catalogue: Mapping[str, Item]
) -> np.ndarray:
    """Tokenise and score `pairs` with a checkpoint; see `score_pairs`."""
    card = checkpoint.card
    lengths = TextLengths(card.query_tokens, card.item_tokens, card.item_text)
    texts = tokenise_texts(checkpoint.tokenizer, pairs, catalogue, lengths)
    return score_pairs(checkpoint.student, pairs, texts)


def _chunk_logits(
    student: ColBERT, queries: Sequence[torch.Tensor], items: Sequence[torch.Tensor]
) -> np.ndarray:
    query_tokens, query_is_token = _stack(queries)
    item_tokens, item_is_token = _stack(items)
    cosines = similarities(query_tokens, item_tokens)
    logits = student.logits(mean_maxsim(cosines, query_is_token, item_is_token))
    return logits.double().numpy()


def _stack(rows: Sequence[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    padded = torch.nn.utils.rnn.pad_sequence(list(rows), batch_first=True)
    counts = torch.tensor([len(row) for row in rows])
    return padded, torch.arange(padded.shape[1])[None, :] < counts[:, None]
