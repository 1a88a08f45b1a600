"""A student as a teacher: its judgements of pairs, for another student to learn from.

A BERT that learnt from the teacher can teach a ColBERT on more pairs (teacher assistant), and a
ReprBERT is distilled from a BERT's scores. No chain of thought comes with them, nor spans.
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from relevance.domain import Item, Judgement, Target, clip_log_odds
from relevance.records import Pair
from trainer.examples import SEEN
from trainer.scoring import score_text_pairs
from trainer.students.checkpoint import Checkpoint
from trainer.students.student import Student


def student_judgements(
    checkpoint: Checkpoint[Student],
    pairs: Sequence[Pair],
    catalogue: Mapping[str, Item],
    *,
    fingerprint: str,
    held_out_of: str | None = None,
) -> Iterator[Judgement]:
    """One direct judgement a pair that has a score, its log-odds clipped to what is stored.

    A labelled pair counts as seen in training unless `held_out_of` names the fold it was kept from.
    """
    logits = score_text_pairs(checkpoint, pairs, catalogue)
    for pair, logit in zip(pairs, logits, strict=True):
        if not np.isnan(logit):
            yield Judgement(
                judge=f"student:{checkpoint.card.student}",
                query=pair.query,
                item_id=pair.item_id,
                target=Target.DIRECT,
                log_odds=clip_log_odds(float(logit)),
                fingerprint=fingerprint,
                held_out_of=None if pair.good is None else held_out_of or SEEN,
            )
