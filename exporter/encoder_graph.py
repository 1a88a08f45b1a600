"""The student's encoder as an ONNX graph: one graph for queries and items, float32.

Fusing and lower precision are not here; the int8 that is served is that of the embeddings.
"""

import warnings
from pathlib import Path

import torch
from torch import nn

from trainer.students.colbert import ColBERT

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
    ids = torch.ones(EXAMPLE_SHAPE, dtype=torch.long)
    attention = torch.ones(EXAMPLE_SHAPE, dtype=torch.long)
    attention[0, -2:] = 0  # a padded example, so that the mask is not folded away
    axes = {0: torch.export.Dim("batch"), 1: torch.export.Dim("tokens")}
    with warnings.catch_warnings():
        # The exporter warns about its own internals; what it made is checked by the parity gate.
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            _TokenEmbeddings(student.eval()),
            (ids, attention),
            input_names=["input_ids", "attention_mask"],
            output_names=["token_embeddings"],
            dynamic_shapes={"input_ids": axes, "attention_mask": axes},
            dynamo=True,
            verbose=False,
        )
    assert program is not None
    program.save(str(path), external_data=False)
