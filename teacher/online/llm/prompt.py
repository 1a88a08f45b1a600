"""The one prompt: what a language model is told about a pair, and what it should answer.

Annotation, fine-tuning, judging and explaining all come here. Whatever is the same for every pair
stands first (instructions, aspects, examples) and the pair last, so that an engine's prefix cache
computes the shared part once. The words themselves are data: `teacher/prompts/*.toml`.
"""

import hashlib
import json
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any

from relevance.aspects import aspects
from relevance.chain_of_thought import JUDGEMENT_HEADING, render
from relevance.domain import ChainOfThought, Item, Label
from relevance.errors import BadInput
from relevance.text import normalise

Message = dict[str, str]  # role, content
Messages = tuple[Message, ...]

PROMPTS = Path(__file__).parents[2] / "prompts"
_LONG_FIELD = 400  # characters read of a description or of bullet points
_ATTRIBUTES = 12  # read of an item at most


class Mode(StrEnum):
    """How the model is to answer.

    COT: chain of thought, then the judgement; DIRECT: the judgement at once (paper's Walmart-LLM).
    """

    COT = "cot"
    DIRECT = "direct"


class Language(StrEnum):
    """The language of instructions and examples; queries and items may be in any."""

    ENGLISH = "english"
    CHINESE = "chinese"


class Guidance(StrEnum):
    """How much the model is told.

    FEW_SHOT: task, aspects, form and examples; TUNED: one sentence, for models fine-tuned on it.
    """

    FEW_SHOT = "few_shot"
    TUNED = "tuned"


class ItemFields(StrEnum):
    """What the model reads of an item.

    TITLE: the title alone; SHORT: also brand, colour, category and attributes; ALL: also the
    beginnings of bullet points and description.
    """

    TITLE = "title"
    SHORT = "short"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class PromptStyle:
    """Everything about a prompt that is the same for all pairs."""

    language: Language = Language.ENGLISH
    guidance: Guidance = Guidance.FEW_SHOT
    reads: ItemFields = ItemFields.SHORT

    @property
    def fingerprint(self) -> str:
        """Twelve hex digits over the style and every word of its prompts."""
        told = [asdict(self), *(prompt("", Item("", ""), mode=m, style=self) for m in Mode)]
        return hashlib.sha256(json.dumps(told, ensure_ascii=False).encode()).hexdigest()[:12]


DEFAULT_STYLE = PromptStyle()


def prompt(query: str, item: Item, *, mode: Mode, style: PromptStyle = DEFAULT_STYLE) -> Messages:
    """The chat messages that ask for a judgement of the pair; the pair is in the last one."""
    return (*_shared(mode, style), {"role": "user", "content": _asked(query, item, mode, style)})


def answer(thought: ChainOfThought, *, mode: Mode) -> str:
    """What a fine-tuned model should say: the canonical chain of thought, or the label alone."""
    return render(thought) if mode is Mode.COT else judgement_text(thought.label)


def judgement_text(label: Label) -> str:
    """The label as it stands at the end of an answer.

    The token after `JUDGEMENT_HEADING` is the judgement token in both modes.
    """
    return f"{JUDGEMENT_HEADING} {label}"


def example_answers(language: Language) -> tuple[str, ...]:
    """The examples' answers, in canonical form."""
    return tuple(example["answer"].strip() for example in _book(language)["example"])


@cache
def _shared(mode: Mode, style: PromptStyle) -> Messages:
    book = _book(style.language)
    if style.guidance is Guidance.TUNED:
        return ({"role": "system", "content": book["tuned"].strip()},)
    system = book["few_shot"].strip().format(aspects=_definitions(book))
    return ({"role": "system", "content": system}, *_examples(book, mode, style))


def _definitions(book: Mapping[str, Any]) -> str:
    told = book.get("aspects", {})
    return "\n".join(f"- {a.name}: {told.get(a.name, a.definition)}" for a in aspects())


def _examples(book: Mapping[str, Any], mode: Mode, style: PromptStyle) -> Iterator[Message]:
    for example in book["example"]:
        item = Item(
            item_id="",
            title=example["title"],
            brand=example.get("brand", ""),
            color=example.get("color", ""),
            category_path=example.get("category_path", ""),
            attributes=tuple(example.get("attributes", {}).items()),
        )
        full = example["answer"].strip()
        said = full if mode is Mode.COT else f"{JUDGEMENT_HEADING} {_label_of(full)}"
        yield {"role": "user", "content": _asked(example["query"], item, mode, style)}
        yield {"role": "assistant", "content": said}


def _label_of(answer_text: str) -> str:
    return answer_text.rpartition(JUDGEMENT_HEADING)[2].split()[0]


def _asked(query: str, item: Item, mode: Mode, style: PromptStyle) -> str:
    """The last message: query, item, and how to answer. Both texts are normalised to one line."""
    book = _book(style.language)
    lines = [f"{book['query']}: {normalise(query)}", f"{book['item']}: {normalise(item.title)}"]
    values = _values(item, style.reads)
    lines += [f"{book['fields'][name]}: {value}" for name, value in values if value]
    return "\n".join([*lines, book[mode]])


def _values(item: Item, reads: ItemFields) -> Iterator[tuple[str, str]]:
    if reads is ItemFields.TITLE:
        return
    yield "brand", normalise(item.brand)
    yield "color", normalise(item.color)
    yield "category_path", normalise(item.category_path)
    listed = (f"{name}: {value}" for name, value in item.attributes[:_ATTRIBUTES])
    yield "attributes", normalise("; ".join(listed))[:_LONG_FIELD]
    if reads is ItemFields.ALL:
        yield "bullet_points", normalise(item.bullet_points)[:_LONG_FIELD]
        yield "description", normalise(item.description)[:_LONG_FIELD]


@cache
def _book(language: Language) -> Mapping[str, Any]:
    path = PROMPTS / f"{language}.toml"
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as fault:
        raise BadInput(f"{path}: expected a prompt file: {fault}") from fault
