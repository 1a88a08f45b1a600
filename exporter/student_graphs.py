"""Sentence-BERT and BERT students as ONNX graphs, float32, with named dynamic axes.

    sentence_bert  encoder.onnx        input_ids, attention_mask → vector [batch, dim], unit length
                   scorer.onnx         query [queries, dim], items [items, dim] → logits [queries,
                                       items]: slope · cosine + bias
    bert           cross_encoder.onnx  input_ids, attention_mask, token_type_ids → logit [batch]

The service serves a ColBERT's bundle; these are for other runtimes and for comparing. The folder
they come in stands in `graph_folder.py`.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from exporter.encoder_graph import example, write_graph
from exporter.maxsim_graph import IR_VERSION, OPSET
from relevance.errors import BadInput
from trainer.students.bert import BERT
from trainer.students.sentence_bert import SentenceBERT
from trainer.students.student import Student, StudentKind

ENCODER, SCORER, CROSS_ENCODER = "encoder.onnx", "scorer.onnx", "cross_encoder.onnx"
GRAPHS: Mapping[StudentKind, tuple[str, ...]] = {
    StudentKind.SENTENCE_BERT: (ENCODER, SCORER),
    StudentKind.BERT: (CROSS_ENCODER,),
}


class _TextVector(nn.Module):
    def __init__(self, student: SentenceBERT) -> None:
        super().__init__()
        self.student = student

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        return self.student.text_embeddings(input_ids, attention_mask)


class _PairLogit(nn.Module):
    def __init__(self, student: BERT) -> None:
        super().__init__()
        self.body, self.segmented = student.body, student.segmented

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        token_type_ids: torch.Tensor,
    ) -> torch.Tensor:
        told = {"token_type_ids": token_type_ids} if self.segmented else {}
        found = self.body(input_ids=input_ids, attention_mask=attention_mask, **told)
        logits: torch.Tensor = found.logits[:, 0]
        # An encoder without segments still takes the input: all BERT graphs are fed alike.
        return logits if self.segmented else logits + 0.0 * token_type_ids.sum(dim=1)


def write_student_graphs(folder: Path, student: Student) -> tuple[str, ...]:
    """Write the student's graphs to `folder`; returns their names.

    Raises `BadInput` for a student that has none here.
    """
    if student.kind not in GRAPHS:
        raise BadInput(f"graphs: expected one of {', '.join(GRAPHS)}, got a {student.kind}")
    _WRITERS[student.kind](folder, student.eval())
    return GRAPHS[student.kind]


def cosine_scorer(*, dim: int, weight: float, bias: float) -> onnx.ModelProto:
    """logits[q, i] = weight · query_q · item_i + bias, for unit vectors."""
    nodes = [
        helper.make_node("Transpose", ["items"], ["columns"], perm=[1, 0]),
        helper.make_node("MatMul", ["query", "columns"], ["cosines"]),
        helper.make_node("Mul", ["cosines", "weight"], ["scaled"]),
        helper.make_node("Add", ["scaled", "bias"], ["logits"]),
    ]
    graph = helper.make_graph(
        nodes,
        "cosine_scorer",
        [
            helper.make_tensor_value_info("query", TensorProto.FLOAT, ["queries", dim]),
            helper.make_tensor_value_info("items", TensorProto.FLOAT, ["items", dim]),
        ],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["queries", "items"])],
        [
            numpy_helper.from_array(np.array(value, np.float32), name)
            for name, value in (("weight", weight), ("bias", bias))
        ],
    )
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION
    )
    onnx.checker.check_model(model, full_check=True)
    return model


def _write_sentence_bert(folder: Path, student: Student) -> None:
    assert isinstance(student, SentenceBERT)
    module = _TextVector(student)
    write_graph(folder / ENCODER, module, student.encoder, example(), output="vector")
    dim = int(student.encoder_config.hidden_size)
    weight, bias = (float(part.detach()) for part in (student.logit.weight, student.logit.bias))
    onnx.save(cosine_scorer(dim=dim, weight=weight, bias=bias), folder / SCORER)


def _write_bert(folder: Path, student: Student) -> None:
    assert isinstance(student, BERT)
    inputs = example()
    inputs["token_type_ids"] = torch.zeros_like(inputs["input_ids"])
    write_graph(folder / CROSS_ENCODER, _PairLogit(student), student.body, inputs, output="logit")


_WRITERS: Mapping[StudentKind, Callable[[Path, Student], None]] = {
    StudentKind.SENTENCE_BERT: _write_sentence_bert,
    StudentKind.BERT: _write_bert,
}
