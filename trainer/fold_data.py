"""One outer fold's training material, read from files and checked against leaks.

The fold's rule (design §3, row 14): neither test queries (or their spelling variants) nor test
items, nor validation queries, may come in through the pool.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

from relevance.domain import Judgement
from relevance.errors import BadInput
from relevance.folds import Holdout, holdout, read_folds, split
from relevance.records import (
    Pair,
    find_data_set,
    read_catalogue,
    read_judgements,
    read_pairs,
)
from trainer.example_files import open_examples
from trainer.material import TrainingData


def read_training_data(
    data: Path,
    folds: Path,
    *,
    fold: int,
    pool: Path | None,
    judgements: Sequence[Path],
    packed_pool: Path | None = None,
) -> TrainingData:
    """Read what a student of this fold may learn from; raises `BadInput` on a leak.

    A pool comes as pairs that the judgements judge, or packed with them in one file; judgements
    come as files or as folders of shards.
    """
    found = find_data_set(data)
    parts = split(read_folds(folds), read_pairs(found.pairs, labelled=True), fold=fold)
    pooled = read_pairs(pool) if pool else ()
    packed = open_examples(packed_pool) if packed_pool else None
    held_out = holdout(parts, queries_of=parts.validation)
    _refuse_leaks(pooled, held_out, f"{pool}", fold)
    if packed is not None:
        _refuse_leaks(packed.keys(), held_out, f"{packed_pool}", fold)
    return TrainingData(
        train=parts.train,
        validation=parts.validation,
        pool=pooled,
        catalogue={item.item_id: item for item in read_catalogue(found.items)},
        judgements=read_verdicts(judgements),
        packed_pool=packed,
    )


def _refuse_leaks(pairs: Iterable[Pair], held_out: Holdout, where: str, fold: int) -> None:
    refused: dict[str, bool] = {}
    leaks, first = 0, None
    for pair in pairs:
        if pair.query not in refused:
            refused[pair.query] = held_out.holds_query(pair.query)
        if refused[pair.query] or held_out.holds_item(pair.item_id):
            leaks, first = leaks + 1, first or pair
    if first is not None:
        raise BadInput(
            f"{where}: {leaks} pairs hold queries or items of the held-out part of fold "
            f"{fold}, such as {_named(first)}\nhint: `ellm data hold-out` removes them"
        )


def read_verdicts(files: Sequence[Path]) -> dict[tuple[str, str], Judgement]:
    """Judgements by pair; the last file wins where a pair was judged twice."""
    return {(j.query, j.item_id): j for file in files for j in read_judgements(file)}


def _named(pair: Pair) -> str:
    return f"({pair.query!r}, `{pair.item_id}`)"
