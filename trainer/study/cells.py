"""A cell of the study: one row, fold and seed; its file, by which a study goes on anywhere.

A finished cell is one small JSON file named by everything that went into it. A cell whose inputs
changed has another name and is run anew; the old file stays and is passed over.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from relevance.atomic import write_text
from relevance.errors import BadInput
from trainer.study.rows import Row

FORMAT = "relevance-cell/1"
SHOWN_ONLY = ("tables", "folds", "seeds")  # where a row is shown and how often it is wanted
ADDED_LATER = ("adaptation", "teacher")  # at their default not in a key: older cells keep theirs


@dataclass(frozen=True, slots=True)
class Cell:
    """One training and its test. `inputs` tells data set, folds, backbone and judgements apart."""

    row: Row
    fold: int
    seed: int
    inputs: str

    @property
    def key(self) -> str:
        """Twelve hex digits over all that decides the result."""
        content = [_deciding(self.row), self.fold, self.seed, self.inputs, FORMAT]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]

    @property
    def file_name(self) -> str:
        """Readable first, unique last."""
        plain = re.sub(r"[^a-z0-9]+", "-", self.row.name.casefold()).strip("-")
        return f"{plain}-fold{self.fold}-seed{self.seed}-{self.key}.json"


def _deciding(row: Row) -> dict[str, Any]:
    """The row's fields that decide a result."""
    about = asdict(row)
    defaults = {field.name: field.default for field in fields(Row)}
    silent = [name for name in ADDED_LATER if about[name] == defaults[name]]
    return {name: value for name, value in about.items() if name not in (*SHOWN_ONLY, *silent)}


@dataclass(frozen=True, slots=True, eq=False)
class CellResult:
    """What a cell found: measures, cost, and every test pair's query, item, label and logit.

    `tried` are the candidates of a row that searches: settings and validation measures.
    """

    cell: Cell
    measures: Mapping[str, float]
    cost: Mapping[str, Any]
    training: Mapping[str, float]
    slices: Mapping[str, Mapping[str, float]]
    queries: tuple[str, ...]
    item_ids: tuple[str, ...]
    good: np.ndarray
    logits: np.ndarray
    tried: tuple[Mapping[str, Any], ...] = ()

    @property
    def seconds(self) -> float:
        """How long the cell took, as far as it says."""
        return float(self.training.get("cell_seconds", 0.0))


def write_cell(folder: Path, result: CellResult) -> Path:
    """Write a finished cell, crash-safe; its scores stand query by query."""
    by_query: dict[str, dict[str, list[Any]]] = {}
    for query, item, good, logit in zip(
        result.queries, result.item_ids, result.good, result.logits, strict=True
    ):
        of_query = by_query.setdefault(query, {"items": [], "good": [], "logits": []})
        of_query["items"].append(item)
        of_query["good"].append(int(good))
        of_query["logits"].append(round(float(logit), 5))
    cell = result.cell
    recipe = None if cell.row.recipe is None else asdict(cell.row.recipe)
    content = {
        "format": FORMAT,
        "key": cell.key,
        "row": cell.row.name,
        "fold": cell.fold,
        "seed": cell.seed,
        "inputs": cell.inputs,
        "recipe": recipe,
        "search": [dict(one) for one in result.tried],
        "measures": dict(result.measures),
        "cost": dict(result.cost),
        "training": dict(result.training),
        "slices": {name: dict(values) for name, values in result.slices.items()},
        "queries": by_query,
    }
    path = folder / cell.file_name
    write_text(path, json.dumps(content, allow_nan=False) + "\n")
    return path


def read_cell(folder: Path, cell: Cell) -> CellResult | None:
    """The finished cell; None where it was not run. `BadInput` where its file is damaged."""
    path = folder / cell.file_name
    if not path.exists():
        return None
    try:
        content = json.loads(path.read_text())
        if content["format"] != FORMAT or content["key"] != cell.key:
            raise ValueError(f"{content['format']}, {content['key']}")
        rows = [
            (query, item, good, logit)
            for query, of_query in content["queries"].items()
            for item, good, logit in zip(
                of_query["items"], of_query["good"], of_query["logits"], strict=True
            )
        ]
        queries, items, good, logits = zip(*rows, strict=True)
        return CellResult(
            cell,
            content["measures"],
            content["cost"],
            content["training"],
            content["slices"],
            tuple(queries),
            tuple(items),
            np.array(good, dtype=bool),
            np.array(logits, dtype=np.float64),
            tuple(content["search"]),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as fault:
        raise BadInput(f"{path}: expected a finished cell of the study: {fault!r}") from fault
