"""The encoder a cell's student starts from: the study's own, or that adapted to the fold's pool.

Adapted encoders lie in the cache beside students that teach; cells that differ in their recipe
alone share one.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path

from trainer.adapt import adapt_encoder, read_adaptation_card, write_adapted
from trainer.own_words import texts_of_pool
from trainer.recipes import Adaptation
from trainer.students.devices import best_device
from trainer.study.cells import Cell
from trainer.study.material import StudyMaterial
from trainer.train import Surroundings
from trainer.world import World


def backbone_of(cell: Cell, material: StudyMaterial, cache: Path) -> str:
    """Name or folder of the cell's encoder, adapted first where the row says so and none is kept.

    It learns from the texts of the fold's pool, which nothing of the test part is in; an
    interrupted adaptation goes on where it stopped.
    """
    if cell.row.adaptation is None:
        return material.backbone
    folder, adaptation = _folder(cell, cache), _seeded(cell.row.adaptation, cell)
    if not folder.is_dir():
        texts = texts_of_pool(
            material.pool_pairs(cell.fold), material.catalogue, adaptation.item_text
        )
        surroundings = Surroundings(World(device=best_device()), state=folder.with_suffix(".state"))
        adapted = adapt_encoder(
            texts, adaptation, backbone_name=material.backbone, surroundings=surroundings
        )
        write_adapted(folder, adapted)
    return str(folder)


def adaptation_figures(cell: Cell, cache: Path) -> Mapping[str, float]:
    """What the cell's adaptation cost and how far it came; empty where there was none."""
    if cell.row.adaptation is None:
        return {}
    run = read_adaptation_card(_folder(cell, cache)).run
    seconds = run["seconds_per_step"] * cell.row.adaptation.steps
    return {"adaptation_seconds": seconds, "adaptation_last_loss": run["last_loss"]}


def _folder(cell: Cell, cache: Path) -> Path:
    """Named by all that decides the encoder; `inputs` tells backbone, catalogue and pool apart."""
    assert cell.row.adaptation is not None
    content = [asdict(_seeded(cell.row.adaptation, cell)), cell.fold, cell.inputs]
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    return cache / f"adapted-{digest[:12]}"


def _seeded(adaptation: Adaptation, cell: Cell) -> Adaptation:
    return replace(adaptation, seed=cell.seed)
