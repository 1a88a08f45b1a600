"""Students by kind: how each is put together from an encoder, and what of it a checkpoint notes.

One row a student; a new architecture is a file of its own and a row here.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tokenizers import Tokenizer
from transformers import PreTrainedModel

from relevance.errors import BadInput
from trainer.students.bert import BERT
from trainer.students.colbert import ColBERT
from trainer.students.lite import Lite
from trainer.students.poly_encoder import PolyEncoder
from trainer.students.reprbert import ReprBERT
from trainer.students.sentence_bert import SentenceBERT
from trainer.students.student import Student, StudentKind


@dataclass(frozen=True, slots=True)
class StudentShape:
    """What must be known to build a student; lengths count real tokens.

    `dim` is of what is compared, where the student projects; `heads` are a ColBERT's smaller
    sizes, `codes` a Poly-Encoder's vectors a query.
    """

    kind: StudentKind
    dim: int
    query_tokens: int
    item_tokens: int
    heads: tuple[int, ...] = ()
    codes: int = 0

    def __post_init__(self) -> None:
        if any(not 0 < head < self.dim for head in self.heads):
            raise BadInput(f"heads: expected sizes below {self.dim}, got {self.heads}")


def build_student(shape: StudentShape, encoder: PreTrainedModel, tokenizer: Tokenizer) -> Student:
    """The student around this encoder; what is not pretrained is random by torch's seed."""
    return BUILDERS[shape.kind](shape, encoder, tokenizer)


def interacting_layers(depth: int) -> tuple[int, ...]:
    """A ReprBERT's layers: a third of the way up, two thirds, and the last."""
    return tuple(sorted({max(1, depth // 3), max(1, 2 * depth // 3), depth}))


def student_kind(name: str) -> StudentKind:
    """A kind by name; raises `BadInput` for another."""
    try:
        return StudentKind(name)
    except ValueError as fault:
        raise BadInput(
            f"student: expected one of {', '.join(StudentKind)}, got `{name}`"
        ) from fault


Builder = Callable[[StudentShape, PreTrainedModel, Tokenizer], Student]


def _hidden(encoder: PreTrainedModel) -> int:
    return int(encoder.config.hidden_size)


def _colbert(shape: StudentShape, encoder: PreTrainedModel, tokenizer: Tokenizer) -> Student:
    return ColBERT(encoder, hidden=_hidden(encoder), dim=shape.dim, heads=shape.heads)


def _lite(shape: StudentShape, encoder: PreTrainedModel, tokenizer: Tokenizer) -> Student:
    return Lite(
        encoder,
        hidden=_hidden(encoder),
        dim=shape.dim,
        query_tokens=shape.query_tokens,
        item_tokens=shape.item_tokens,
    )


def _sentence_bert(shape: StudentShape, encoder: PreTrainedModel, tokenizer: Tokenizer) -> Student:
    return SentenceBERT(encoder)


def _poly_encoder(shape: StudentShape, encoder: PreTrainedModel, tokenizer: Tokenizer) -> Student:
    return PolyEncoder(encoder, hidden=_hidden(encoder), codes=max(1, shape.codes))


def _reprbert(shape: StudentShape, encoder: PreTrainedModel, tokenizer: Tokenizer) -> Student:
    layers = interacting_layers(int(encoder.config.num_hidden_layers))
    return ReprBERT(encoder, hidden=_hidden(encoder), dim=shape.dim, layers=layers)


def _bert(shape: StudentShape, encoder: PreTrainedModel, tokenizer: Tokenizer) -> Student:
    return BERT(encoder, tokenizer)


BUILDERS: Mapping[StudentKind, Builder] = {
    StudentKind.COLBERT: _colbert,
    StudentKind.LITE: _lite,
    StudentKind.SENTENCE_BERT: _sentence_bert,
    StudentKind.POLY_ENCODER: _poly_encoder,
    StudentKind.REPRBERT: _reprbert,
    StudentKind.BERT: _bert,
}
