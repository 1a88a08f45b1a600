"""A trained student on disk: weights, the encoder's configuration, the tokenizer, how it was made.

    student.json       `StudentCard`
    model.safetensors  every tensor of the student
    config.json        the encoder's Hugging Face configuration
    tokenizer.json     the fast tokenizer, no padding or truncation set

A bundle, which is what gets served, is made from it by the exporter.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Literal

from pydantic import BaseModel, ConfigDict
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from transformers import AutoConfig
from typing_extensions import TypeVar

from relevance.atomic import creating_folder
from relevance.errors import BadInput
from relevance.item_text import ItemText
from trainer.students.backbone import bare_tokenizer, empty_encoder
from trainer.students.build import StudentShape, build_student
from trainer.students.colbert import ColBERT
from trainer.students.student import Student, StudentKind

CARD, WEIGHTS, TOKENIZER = "student.json", "model.safetensors", "tokenizer.json"

S = TypeVar("S", bound=Student, default=ColBERT, covariant=True)


class StudentCard(BaseModel):
    """What must be known to use the weights, and what made them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal["relevance-student/1"] = "relevance-student/1"
    student: StudentKind = StudentKind.COLBERT
    backbone: str
    hidden: int
    dim: int
    query_tokens: int
    item_tokens: int
    item_text: ItemText
    heads: tuple[int, ...] = ()
    codes: int = 0
    recipe: dict[str, str | int | float]
    run: dict[str, float]

    @property
    def shape(self) -> StudentShape:
        """What the student is built from."""
        return StudentShape(
            self.student, self.dim, self.query_tokens, self.item_tokens, self.heads, self.codes
        )


@dataclass(frozen=True, slots=True)
class Checkpoint(Generic[S]):
    """A student ready to score, with its tokenizer; a ColBERT unless the type says otherwise."""

    student: S
    tokenizer: Tokenizer
    card: StudentCard


def write_checkpoint(folder: Path, checkpoint: Checkpoint[Student]) -> None:
    """Write a checkpoint folder, whole or not at all."""
    with creating_folder(folder) as temporary:
        tensors = {n: t.contiguous() for n, t in checkpoint.student.state_dict().items()}
        save_file(tensors, temporary / WEIGHTS)
        checkpoint.student.encoder_config.save_pretrained(temporary)
        checkpoint.tokenizer.save(str(temporary / TOKENIZER))
        (temporary / CARD).write_text(checkpoint.card.model_dump_json(indent=2) + "\n")


def read_student(folder: Path) -> Checkpoint[Student]:
    """Read what `write_checkpoint` wrote, whatever the student; `BadInput` where it is none."""
    card = read_card(folder)
    tokenizer = _read_tokenizer(folder / TOKENIZER)
    try:
        encoder = empty_encoder(AutoConfig.from_pretrained(folder))
        if card.hidden != encoder.config.hidden_size:
            raise ValueError(
                f"hidden: {card.hidden} but {encoder.config.hidden_size} in the weights"
            )
        student = build_student(card.shape, encoder, tokenizer)
        student.load_state_dict(load_file(folder / WEIGHTS))
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as fault:
        raise BadInput(f"{folder}: expected a student's checkpoint: {fault}") from fault
    return Checkpoint(student.eval(), tokenizer, card)


def read_checkpoint(folder: Path) -> Checkpoint:
    """Read a ColBERT's checkpoint; raises `BadInput` where it is none."""
    found = read_student(folder)
    if found.card.student is not StudentKind.COLBERT or not isinstance(found.student, ColBERT):
        raise BadInput(f"{folder}: expected a colbert, got a {found.card.student}")
    return Checkpoint(found.student, found.tokenizer, found.card)


def read_card(folder: Path) -> StudentCard:
    """What made the student in `folder`; raises `BadInput` where there is none."""
    try:
        return StudentCard.model_validate_json((folder / CARD).read_bytes())
    except (OSError, ValueError) as fault:
        raise BadInput(f"{folder}: expected a student's checkpoint: {fault}") from fault


def _read_tokenizer(path: Path) -> Tokenizer:
    """As the backbone's: the file does not say that a typed "[SEP]" is text."""
    try:
        return bare_tokenizer(Tokenizer.from_file(str(path)))
    except Exception as fault:  # tokenizers raises nothing narrower
        raise BadInput(f"{path}: expected a fast tokenizer: {fault}") from fault
