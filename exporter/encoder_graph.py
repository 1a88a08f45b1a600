"""A student's forward pass as an ONNX graph: float32, any number of texts of any length.

Each attention becomes one operator (ONNX's own Attention, opset 23) instead of ten, and `leaner.py`
takes out what surrounds it. A ColBERT's token embeddings stand here, for queries and items alike;
other students in `student_graphs.py`, lower precision in `precision.py`.
"""

import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import onnx
import torch
from torch import nn
from transformers import PreTrainedModel

from exporter.leaner import lean
from trainer.students.colbert import ColBERT

OPSET = 23  # the first with Attention
EXAMPLE_SHAPE = (2, 7)  # the exporter specialises on sizes of one, so none of them is


class _TokenEmbeddings(nn.Module):
    """The student's encoder with nothing of MaxSim."""

    def __init__(self, student: ColBERT) -> None:
        super().__init__()
        self.student = student

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        return self.student.token_embeddings(input_ids, attention_mask)


def write_encoder_graph(path: Path, student: ColBERT) -> None:
    """Export `student.token_embeddings` with dynamic batch and length; see `relevance.bundle`."""
    module = _TokenEmbeddings(student.eval())
    write_graph(path, module, student.encoder, example(), output="token_embeddings")


def example() -> dict[str, torch.Tensor]:
    """Padded texts to trace with, so that the mask is not folded away."""
    ids = torch.ones(EXAMPLE_SHAPE, dtype=torch.long)
    attention = torch.ones(EXAMPLE_SHAPE, dtype=torch.long)
    attention[0, -2:] = 0
    return {"input_ids": ids, "attention_mask": attention}


def write_graph(
    path: Path,
    module: nn.Module,
    encoder: PreTrainedModel,
    inputs: Mapping[str, torch.Tensor],
    *,
    output: str,
) -> None:
    """Export `module`, which runs `encoder` on inputs of these names, all (batch, tokens)."""
    axes = {0: torch.export.Dim("batch"), 1: torch.export.Dim("tokens")}
    with _quiet_exporter(), _one_operator_attention(encoder):
        program = torch.onnx.export(
            module,
            tuple(inputs.values()),
            input_names=list(inputs),
            output_names=[output],
            dynamic_shapes=dict.fromkeys(inputs, axes),
            dynamo=True,
            opset_version=OPSET,
            verbose=False,
        )
    assert program is not None
    for node in program.model.graph.all_nodes():
        node.metadata_props.clear()  # stack traces: paths of this machine, in a hashed file
    program.save(str(path), external_data=False)
    onnx.save(lean(onnx.load(path), heads=encoder.config.num_attention_heads), path)


@contextmanager
def _one_operator_attention(encoder: PreTrainedModel) -> Iterator[None]:
    """Students train and score with eager attention; torch's fused one is what exports as one."""
    before = encoder.config._attn_implementation
    encoder.set_attn_implementation("sdpa")
    try:
        yield
    finally:
        encoder.set_attn_implementation(before)


@contextmanager
def _quiet_exporter() -> Iterator[None]:
    """torch's exporter talks about its own internals; the parity gate checks what it made."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
