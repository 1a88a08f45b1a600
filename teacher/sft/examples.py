"""What is learnt from: prompts without examples, and the answers to them.

Reads the file of `ellm teach select`. How texts become tokens stands in `tokens.py`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from relevance.chain_of_thought import parse
from relevance.domain import ChainOfThought, Item, Label, conclude
from relevance.errors import BadInput
from relevance.evidence import find_occurrences
from relevance.tables import Columns, read_table
from teacher.online.llm.prompt import Messages, Mode, PromptStyle, answer, prompt
from teacher.sft.recipe import SftRecipe

_COLUMNS = Columns(
    kind="chains of thought",
    required={"query": pa.string(), "item_id": pa.string(), "chain_of_thought": pa.string()},
    optional={},
)


@dataclass(frozen=True, slots=True)
class Example:
    """A prompt and the answer to learn."""

    messages: Messages
    answer: str


def read_examples(
    chains: Path, items: Mapping[str, Item], recipe: SftRecipe
) -> tuple[Example, ...]:
    """Every chain of the file, asked for in each of the recipe's modes, in file order.

    Raises `BadInput` where an item is not in the catalogue or a text is no chain of thought.
    """
    return tuple(_examples(chains, items, recipe))


def readable_part(
    thought: ChainOfThought, query: str, item: Item, style: PromptStyle
) -> ChainOfThought:
    """The chain without findings whose values stand neither in the query nor in what is shown.

    Its label stays; its cause becomes the first mismatching aspect that is left, else `other`.
    """
    shown = prompt("", item, mode=Mode.COT, style=style)[-1]["content"]
    kept = tuple(
        finding
        for finding in thought.findings
        if find_occurrences(query, finding.asked)
        and (finding.offered is None or find_occurrences(shown, finding.offered))
    )
    return conclude(kept, score=float(thought.label is Label.GOOD), threshold=0.5)


def _examples(chains: Path, items: Mapping[str, Item], recipe: SftRecipe) -> Iterator[Example]:
    for row, record in enumerate(read_table(chains, _COLUMNS).to_pylist(), start=1):
        query, item = record["query"], items.get(record["item_id"])
        if item is None:
            raise BadInput(f"{chains}: row {row}: no item `{record['item_id']}` in the catalogue")
        try:
            thought = parse(record["chain_of_thought"].strip())
        except BadInput as fault:
            raise BadInput(f"{chains}: row {row}: {fault}") from fault
        if recipe.readable:
            thought = readable_part(thought, query, item, recipe.style)
        for mode in recipe.answers.modes:
            messages = prompt(query, item, mode=mode, style=recipe.style)
            yield Example(messages, answer(thought, mode=mode))
