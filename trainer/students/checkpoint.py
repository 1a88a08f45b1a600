"""A trained student on disk: weights, the encoder's configuration, the tokenizer, how it was made.

    student.json       `StudentCard`
    model.safetensors  every tensor of the student
    config.json        the encoder's Hugging Face configuration
    tokenizer.json     the fast tokenizer, no padding or truncation set

A bundle, which is what gets served, is made from it by the exporter.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from transformers import AutoConfig, AutoModel

from relevance.atomic import creating_folder
from relevance.errors import BadInput
from relevance.item_text import ItemText
from trainer.students.backbone import bare_tokenizer
from trainer.students.colbert import ColBERT

CARD, WEIGHTS, TOKENIZER = "student.json", "model.safetensors", "tokenizer.json"


class StudentCard(BaseModel):
    """What must be known to use the weights, and what made them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal["relevance-student/1"] = "relevance-student/1"
    student: Literal["colbert"] = "colbert"
    backbone: str
    hidden: int
    dim: int
    query_tokens: int
    item_tokens: int
    item_text: ItemText
    recipe: dict[str, str | int | float]
    run: dict[str, float]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A student ready to score, with its tokenizer."""

    student: ColBERT
    tokenizer: Tokenizer
    card: StudentCard


def write_checkpoint(folder: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint folder, whole or not at all."""
    with creating_folder(folder) as temporary:
        tensors = {n: t.contiguous() for n, t in checkpoint.student.state_dict().items()}
        save_file(tensors, temporary / WEIGHTS)
        checkpoint.student.encoder.config.save_pretrained(temporary)
        checkpoint.tokenizer.save(str(temporary / TOKENIZER))
        (temporary / CARD).write_text(checkpoint.card.model_dump_json(indent=2) + "\n")


def read_checkpoint(folder: Path) -> Checkpoint:
    """Read what `write_checkpoint` wrote; raises `BadInput` where it is none."""
    card = read_card(folder)
    try:
        encoder = AutoModel.from_config(
            AutoConfig.from_pretrained(folder),
            add_pooling_layer=False,
            dtype=torch.float32,
            attn_implementation="eager",  # as it was trained: the same bits
        )
        student = ColBERT(encoder, hidden=card.hidden, dim=card.dim)
        student.load_state_dict(load_file(folder / WEIGHTS))
    except (OSError, ValueError, RuntimeError, SafetensorError) as fault:
        raise BadInput(f"{folder}: expected a student's checkpoint: {fault}") from fault
    return Checkpoint(student.eval(), _read_tokenizer(folder / TOKENIZER), card)


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
