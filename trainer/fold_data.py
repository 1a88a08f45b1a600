"""One outer fold's training material, read from files and checked against leaks.

The fold's rule (design §3, row 14): neither test queries (or their spelling variants) nor test
items, nor validation queries, may come in through the pool.
"""

from collections.abc import Sequence
from pathlib import Path

from relevance.domain import Judgement
from relevance.errors import BadInput
from relevance.folds import holdout, read_folds, split
from relevance.records import (
    Pair,
    find_data_set,
    read_catalogue,
    read_judgements,
    read_pairs,
)
from trainer.train import TrainingData


def read_training_data(
    data: Path,
    folds: Path,
    *,
    fold: int,
    pool: Path | None,
    judgements: Sequence[Path],
) -> TrainingData:
    """Read what a student of this fold may learn from; raises `BadInput` on a leak."""
    found = find_data_set(data)
    parts = split(read_folds(folds), read_pairs(found.pairs, labelled=True), fold=fold)
    pooled = read_pairs(pool) if pool else ()
    held_out = holdout(parts, queries_of=parts.validation)
    refused = {query for query in {p.query for p in pooled} if held_out.holds_query(query)}
    leaks = [p for p in pooled if p.query in refused or held_out.holds_item(p.item_id)]
    if leaks:
        raise BadInput(
            f"{pool}: {len(leaks)} pairs hold queries or items of the held-out part of fold "
            f"{fold}, such as {_named(leaks[0])}\nhint: `ellm data hold-out` removes them"
        )
    return TrainingData(
        train=parts.train,
        validation=parts.validation,
        pool=pooled,
        catalogue={item.item_id: item for item in read_catalogue(found.items)},
        judgements=read_verdicts(judgements),
    )


def read_verdicts(files: Sequence[Path]) -> dict[tuple[str, str], Judgement]:
    """Judgements by pair; the last file wins where a pair was judged twice."""
    return {(j.query, j.item_id): j for file in files for j in read_judgements(file)}


def _named(pair: Pair) -> str:
    return f"({pair.query!r}, `{pair.item_id}`)"
