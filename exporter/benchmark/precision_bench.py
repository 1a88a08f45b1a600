"""Every precision of one student's encoder: what it costs in scores, and in milliseconds and bytes.

Scores are compared with the student's own float scores on human-labelled pairs, through the whole
integer path; latency is that of one text of `TOKENS` tokens on one thread.
"""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from exporter.attempt import CalibrationPairs, attempt, material_of
from exporter.benchmark.timing import Timing, take_turns
from exporter.bundle_scoring import open_session
from exporter.encoder_graph import write_encoder_graph
from exporter.maxsim_graph import write_maxsim_graph
from relevance.bundle import ENCODER, MAXSIM, TOKENIZER, Precision
from relevance.item_rows import RowCodec
from trainer.students.checkpoint import Checkpoint

TOKENS = 16  # of a query, specials on top


@dataclass(frozen=True, slots=True)
class PrecisionRow:
    """One precision: differences from the student's float scores, size, time."""

    precision: Precision
    measures: dict[str, float]
    encoder_bytes: int
    timing: Timing


def bench_precisions(
    checkpoint: Checkpoint,
    calibration: CalibrationPairs,
    *,
    precisions: Sequence[Precision] = tuple(Precision),
    turns: int = 100,
) -> list[PrecisionRow]:
    """Score and time each precision."""
    material = material_of(checkpoint, calibration, RowCodec())
    measured: dict[Precision, dict[str, float]] = {}
    with TemporaryDirectory() as name:
        folder = Path(name)
        full = folder / f"full-{ENCODER}"
        write_encoder_graph(full, checkpoint.student)
        write_maxsim_graph(folder / MAXSIM, dim=checkpoint.card.dim)
        checkpoint.tokenizer.save(str(folder / TOKENIZER))
        for precision in precisions:
            found = attempt(folder, full, material, precision)
            measured[precision] = dict(found.parity.measures)
            shutil.copyfile(folder / ENCODER, folder / f"{precision}.onnx")
        timings = _timings(folder, precisions, checkpoint, turns)
        return [
            PrecisionRow(
                precision,
                measured[precision],
                (folder / f"{precision}.onnx").stat().st_size,
                timings[precision],
            )
            for precision in precisions
        ]


def _timings(
    folder: Path, precisions: Sequence[Precision], checkpoint: Checkpoint, turns: int
) -> dict[str, Timing]:
    around = checkpoint.tokenizer.num_special_tokens_to_add(is_pair=False)
    most = checkpoint.tokenizer.get_vocab_size()
    ids = np.random.default_rng(0).integers(most // 10, most, (1, TOKENS + around))
    feed = {"input_ids": ids, "attention_mask": np.ones_like(ids)}
    sessions = {p: open_session(folder / f"{p}.onnx") for p in precisions}
    contestants = {p.value: partial(s.run, None, feed) for p, s in sessions.items()}
    return take_turns(contestants, turns=turns)
