"""Cells and results of a study nobody ran: factories, no oracles."""

import numpy as np

from relevance.metrics import neg_pr_auc, roc_auc
from trainer.recipes import ce
from trainer.study.cells import Cell, CellResult
from trainer.study.rows import Row


def make_cell(row: Row | None = None, *, fold: int = 0, seed: int = 0) -> Cell:
    return Cell(row or Row("ColBERT", (), 1, recipe=ce()), fold, seed, "inputs")


def make_result(cell: Cell, *, skill: float = 1.0, seed: int = 0, queries: int = 20) -> CellResult:
    """Labels by the fold alone; logits that know them as well as `skill` says."""
    labels, noise = np.random.default_rng(cell.fold), np.random.default_rng(seed)
    names = tuple(f"query {at}" for at in range(queries) for _ in range(4))
    good = labels.random(len(names)) < 0.5
    logits = skill * (2.0 * good - 1.0) + noise.normal(size=len(names))
    return CellResult(
        cell,
        {
            "share_bad": float(1 - good.mean()),
            "roc_auc": roc_auc(good, logits),
            "neg_pr_auc": neg_pr_auc(good, logits),
        },
        {"parameters": 10, "ms": 2.0, "cached_ms": None, "training_ms": 5.0, "device": "cpu",
         "machine": "test"},
        {"cell_seconds": 3.0, "seconds_per_step": 0.5},
        {"head": {"roc_auc": 0.75, "neg_pr_auc": 0.5}},
        names,
        tuple(str(at) for at in range(len(names))),
        good,
        logits,
    )  # fmt: skip
