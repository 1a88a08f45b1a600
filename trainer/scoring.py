"""Score pairs with a student in torch: what evaluation and early stopping use.

Representation students encode each distinct text once, as they would be served; interaction
students read pair by pair. The served scores come from the bundle's integer graphs; the exporter
holds those to these.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch

from relevance.domain import Item, Side
from relevance.records import Pair
from trainer.examples import TextLengths, TextTable, tokenise_texts
from trainer.students.checkpoint import Checkpoint
from trainer.students.devices import device_of, moved
from trainer.students.embedding import encode_texts
from trainer.students.precision import mixed_precision
from trainer.students.student import Encoded, PairTexts, RepresentationStudent, Student
from trainer.students.texts import TokenisedText, pad

BATCH_PAIRS = 512
BATCH_JOINT = 64  # pairs that are read together; sorted by length, so that padding is little


@torch.inference_mode()
def score_pairs(student: Student, pairs: Sequence[Pair], texts: TextTable) -> np.ndarray:
    """Logits of `pairs` in float64; NaN for a pair whose query or item has no token."""
    usable = [
        at
        for at, pair in enumerate(pairs)
        if texts.queries[pair.query].offsets and texts.items[pair.item_id].offsets
    ]
    logits = np.full(len(pairs), np.nan)
    if usable:
        chosen = [pairs[at] for at in usable]
        if isinstance(student, RepresentationStudent):
            logits[usable] = _separately(student, chosen, texts)
        else:
            logits[usable] = _jointly(student, chosen, texts)
    return logits


def score_text_pairs(
    checkpoint: Checkpoint[Student], pairs: Sequence[Pair], catalogue: Mapping[str, Item]
) -> np.ndarray:
    """Tokenise and score `pairs` with a checkpoint; see `score_pairs`."""
    card = checkpoint.card
    lengths = TextLengths(card.query_tokens, card.item_tokens, card.item_text)
    texts = tokenise_texts(checkpoint.tokenizer, pairs, catalogue, lengths)
    return score_pairs(checkpoint.student, pairs, texts)


def _separately(
    student: RepresentationStudent, pairs: Sequence[Pair], texts: TextTable
) -> np.ndarray:
    queries = list(dict.fromkeys(pair.query for pair in pairs))
    items = list(dict.fromkeys(pair.item_id for pair in pairs))
    with mixed_precision(device_of(student)):
        encoded_queries = encode_texts(student, [texts.queries[q] for q in queries], Side.QUERY)
        encoded_items = encode_texts(student, [texts.items[i] for i in items], Side.TITLE)
    query_rows = dict(zip(queries, encoded_queries, strict=True))
    item_rows = dict(zip(items, encoded_items, strict=True))
    chunks = (pairs[start : start + BATCH_PAIRS] for start in range(0, len(pairs), BATCH_PAIRS))
    return np.concatenate(
        [
            student.meet(
                stacked([query_rows[pair.query] for pair in chunk]),
                stacked([item_rows[pair.item_id] for pair in chunk]),
            )
            .double()
            .cpu()
            .numpy()
            for chunk in chunks
        ]
    )


def _jointly(student: Student, pairs: Sequence[Pair], texts: TextTable) -> np.ndarray:
    device = device_of(student)
    both = [(texts.queries[pair.query], texts.items[pair.item_id]) for pair in pairs]
    order = sorted(range(len(both)), key=lambda at: sum(len(text.ids) for text in both[at]))
    logits = np.empty(len(pairs))
    for start in range(0, len(order), BATCH_JOINT):
        chosen = order[start : start + BATCH_JOINT]
        batch = moved(_pair_texts([both[at] for at in chosen]), device)
        with mixed_precision(device):
            judged = student.judge(batch, evidence=False)
        logits[chosen] = judged.logits.double().cpu().numpy()
    return logits


def _pair_texts(both: Sequence[tuple[TokenisedText, TokenisedText]]) -> PairTexts:
    rows = torch.arange(len(both))
    return PairTexts(pad([query for query, _ in both]), pad([item for _, item in both]), rows, rows)


def stacked(rows: Sequence[torch.Tensor]) -> Encoded:
    """Texts' vectors (rows, dim) padded to one batch."""
    padded = torch.nn.utils.rnn.pad_sequence(list(rows), batch_first=True)
    counts = torch.tensor([len(row) for row in rows], device=padded.device)
    is_row = torch.arange(padded.shape[1], device=padded.device)[None, :] < counts[:, None]
    return Encoded(padded, is_row, padded[:0])
