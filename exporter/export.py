"""Checkpoint → bundle: graphs, precision, quantisation, calibration, parity gate, manifest.

The bundle's folder appears under its name only after the gate let it through. `report.json` beside
the manifest holds what the gate saw, lists that changed their order included; nothing serves it.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from exporter.attempt import Attempt, CalibrationPairs, Material, attempt, material_of
from exporter.bundle_scoring import (
    EncodedText,
    RowFormat,
    encode_pairs,
    encoder_of,
    integer_similarities,
)
from exporter.calibrate import Calibration, fit_calibration
from exporter.encoder_graph import write_encoder_graph
from exporter.golden import GoldenPair, write_golden
from exporter.maxsim_graph import write_maxsim_graph
from exporter.narrow import narrowed
from exporter.parity import (
    FEWEST_LABELS,
    check_parity,
    encoder_difference,
    golden_differing,
    keeps_order,
)
from exporter.parity_grid import grid_texts, integer_grid
from exporter.provenance import provenance, versions
from exporter.thresholds import bundle_measures, stated_thresholds
from exporter.torch_reference import torch_texts
from relevance.atomic import creating_folder, write_text
from relevance.bundle import (
    ENCODER,
    GOLDEN,
    MAXSIM,
    TOKENIZER,
    BundleManifest,
    FileSeal,
    Precision,
    write_manifest,
)
from relevance.errors import BadInput, GateRefused
from relevance.item_rows import RowCodec
from relevance.late_interaction import sigmoid
from trainer.students.checkpoint import Checkpoint
from trainer.students.colbert import ColBERT

REPORT = "report.json"
PARITY_TEXTS = 64  # texts of either side compared between torch and ONNX Runtime, and the grid
THRESHOLD = 0.5  # of a calibrated probability: the cut with the fewest expected errors
LADDER = (Precision.INT8_DYNAMIC, Precision.FP32)  # tried in turn where no precision is asked for
SHOWN_LISTS = 20  # of those that flipped


@dataclass(frozen=True, slots=True)
class ExportOptions:
    """What a bundle should be.

    `precision` None takes the first of `LADDER` that keeps the order of candidate lists; one that
    is asked for is refused only where it costs too much ROC-AUC. `dim` None is the student's own.
    """

    precision: Precision | None = None
    codec: RowCodec = RowCodec()
    dim: int | None = None
    licence: str = ""
    checkpoint: Mapping[str, FileSeal] = field(default_factory=dict)


def export_bundle(
    checkpoint: Checkpoint,
    calibration: CalibrationPairs,
    out: Path,
    *,
    source: Mapping[str, str],
    options: ExportOptions | None = None,
    write_graph: Callable[[Path, ColBERT], None] = write_encoder_graph,
) -> BundleManifest:
    """Write a bundle to `out`; raises `GateRefused` where parity or calibration fails.

    `write_graph` writes the student's float32 encoder; whoever has its graph already passes it on.
    """
    options = options or ExportOptions()
    texts = calibration.texts(checkpoint.card.item_text)
    _check_tokenizer(checkpoint)
    options.codec.row_bytes(options.dim or checkpoint.card.dim)  # refused before anything is made
    if options.dim is not None:
        items = tuple(dict.fromkeys(item for _, item in texts))
        checkpoint = narrowed(checkpoint, options.dim, texts=items)
    material = material_of(checkpoint, calibration, options.codec)
    with creating_folder(out) as folder, TemporaryDirectory(dir=out.parent) as aside:
        full = Path(aside) / ENCODER
        write_graph(full, checkpoint.student)
        checkpoint.tokenizer.save(str(folder / TOKENIZER))
        dim, bits = checkpoint.card.dim, material.codec.bits
        write_golden(folder / GOLDEN, dim=dim, rows=material.rows, bits=bits)
        write_maxsim_graph(folder / MAXSIM, dim=dim, bits=bits)
        graphs = _check_graphs(folder, full, material)
        chosen = _chosen(folder, full, material, options.precision)
        graphs |= _check_integers(folder, chosen.scale, material)
        fitted, fitted_on = _calibrate(chosen.similarities, material)
        _write_golden_pairs(folder, chosen.scale, material, fitted)
        _write_report(folder, chosen, fitted_on)
        return write_manifest(
            folder,
            **_described(checkpoint, options, source),
            precision=chosen.precision,
            item_scale=chosen.scale,
            logit_weight=fitted.weight,
            logit_bias=fitted.bias,
            threshold=THRESHOLD,
            calibration=fitted_on,
            parity=graphs | dict(chosen.parity.measures),
            **_measured(chosen.similarities, material, fitted, fitted_on),
        )


def _described(
    checkpoint: Checkpoint, options: ExportOptions, source: Mapping[str, str]
) -> dict[str, object]:
    card = checkpoint.card
    return {
        "dim": card.dim,
        "max_query_tokens": card.query_tokens,
        "max_item_tokens": card.item_tokens,
        "item_text": card.item_text,
        "codec": options.codec,
        "licence": options.licence,
        "checkpoint": dict(options.checkpoint),
        "versions": versions(),
        "provenance": provenance(card),
        "source": dict(source),
    }


def _check_graphs(folder: Path, full: Path, material: Material) -> dict[str, float]:
    """The float32 graph against torch on the grid and on real texts, either role's length."""
    bare = material.checkpoint.tokenizer
    grid = grid_texts(bare, material.lengths)
    worst, where = 0.0, ""
    for length, real in (
        (material.lengths.query, material.reference.queries),
        (material.lengths.item, material.reference.items),
    ):
        expected = dict(list(real.items())[:PARITY_TEXTS])
        expected |= torch_texts(material.checkpoint, grid, length=length)
        encode = encoder_of(full, length, tokenizer=folder / TOKENIZER)
        found: dict[str, EncodedText] = {text: encode(text) for text in expected}
        gap, text = encoder_difference(expected, found)
        if not gap <= worst:
            worst, where = gap, f"worst text, cut to {length} tokens: {text!r:.120}"
    measured = {"encoder_max_difference": worst, "grid_texts": float(len(grid))}
    check_parity(measured, shown=[where])
    return measured


def _check_integers(folder: Path, scale: float, material: Material) -> dict[str, float]:
    """maxsim.onnx against NumPy, golden rows and every pair of token counts."""
    grid = integer_grid(
        folder,
        dim=material.checkpoint.card.dim,
        lengths=material.lengths,
        scale=scale,
        codec=material.codec,
    )
    differing = golden_differing(folder) + grid.maxima_differing
    measured = {"maxima_differing": float(differing)}
    check_parity(measured, shown=[f"worst shape: {grid.worst}"])
    return measured


def _chosen(folder: Path, full: Path, material: Material, precision: Precision | None) -> Attempt:
    """The precision asked for, else the first of the ladder that holds; its encoder is written."""
    asked = LADDER if precision is None else (precision,)
    for at, rung in enumerate(asked):
        found = attempt(folder, full, material, rung)
        try:
            _check_scores(found, strict=precision is None and rung is not asked[-1])
        except GateRefused:
            if at == len(asked) - 1:
                raise
        else:
            break
    return found


def _check_scores(found: Attempt, *, strict: bool) -> None:
    parity = found.parity
    check_parity(parity.measures, precision=found.precision, shown=[parity.worst_pair])
    if strict and not keeps_order(parity.measures):
        raise GateRefused(f"{found.precision} puts candidate lists into another order")


def _calibrate(similarities: np.ndarray, material: Material) -> tuple[Calibration, str]:
    labelled = material.labels.known & ~np.isnan(similarities)
    good = material.labels.good[labelled]
    if len(good) < FEWEST_LABELS or good.all() or not good.any():
        student = material.checkpoint.student
        return Calibration(float(student.weight.detach()), float(student.bias.detach())), "teacher"
    return fit_calibration(similarities[labelled], good), "human"


def _measured(
    similarities: np.ndarray, material: Material, fitted: Calibration, fitted_on: str
) -> dict[str, object]:
    """Thresholds and measures, where there are labels enough to say something."""
    labelled = np.flatnonzero(material.labels.known & ~np.isnan(similarities))
    if fitted_on != "human":
        return {}
    good = material.labels.good[labelled]
    probabilities = sigmoid(fitted.weight * similarities[labelled] + fitted.bias)
    queries = [material.reference.pairs[int(at)][0] for at in labelled]
    return {
        "thresholds": stated_thresholds(good, probabilities),
        "metrics": bundle_measures(good, probabilities, queries, threshold=THRESHOLD),
    }


def _write_golden_pairs(
    folder: Path, scale: float, material: Material, fitted: Calibration
) -> None:
    """Grid texts scored by the finished graphs, for whoever checks them on another machine."""
    texts = [t for t in grid_texts(material.checkpoint.tokenizer, material.lengths) if t]
    pairs = list(zip(texts, [*texts[3:], *texts[:3]], strict=True))
    encoded = encode_pairs(folder, pairs, lengths=material.lengths)
    shape = RowFormat(material.codec, scale, material.rows)
    found = fitted.weight * integer_similarities(folder, encoded, shape) + fitted.bias
    golden = [
        GoldenPair(query, item, float(logit))
        for (query, item), logit in zip(pairs, found, strict=True)
        if not np.isnan(logit)
    ]
    dim, rows = material.checkpoint.card.dim, material.rows
    write_golden(folder / GOLDEN, dim=dim, rows=rows, bits=material.codec.bits, pairs=golden)


def _write_report(folder: Path, chosen: Attempt, fitted_on: str) -> None:
    content = {
        "precision": chosen.precision.value,
        "calibration": fitted_on,
        "worst_pair": chosen.parity.worst_pair,
        "lists_flipped": len(chosen.parity.flipped),
        "flipped": [asdict(flipped) for flipped in chosen.parity.flipped[:SHOWN_LISTS]],
    }
    write_text(folder / REPORT, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def _check_tokenizer(checkpoint: Checkpoint) -> None:
    """A tokenizer whose ids the encoder has no embedding for is another model's."""
    most = int(checkpoint.student.encoder.get_input_embeddings().num_embeddings)
    highest = max(checkpoint.tokenizer.get_vocab(with_added_tokens=True).values(), default=0)
    if highest >= most:
        raise BadInput(
            f"checkpoint: its tokenizer is another model's: ids up to {highest:,}, but embeddings "
            f"for {most:,}"
        )
