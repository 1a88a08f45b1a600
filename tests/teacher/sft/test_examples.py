from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from relevance.chain_of_thought import parse
from relevance.domain import ChainOfThought, Item, Label, Verdict
from relevance.errors import BadInput
from teacher.online.llm.prompt import ItemFields, PromptStyle
from teacher.sft.examples import read_examples, readable_part
from teacher.sft.recipe import Answers, SftRecipe
from tests.teacher.sft.make_chains import (
    BAD_MUG,
    CHAINS,
    GOOD_DESK,
    ITEMS,
    STYLE,
    finding,
    written_chains,
)


def test_every_chain_is_asked_for_once_in_each_mode(tmp_path: Path) -> None:
    """`mixed` teaches both answers, each behind its own prompt."""
    chains = written_chains(tmp_path / "chains.parquet")

    mixed = read_examples(chains, ITEMS, SftRecipe(answers=Answers.MIXED))
    alone = [
        read_examples(chains, ITEMS, SftRecipe(answers=Answers(one))) for one in ("cot", "direct")
    ]

    assert sorted(e.answer for e in mixed) == sorted(e.answer for both in alone for e in both)
    assert [parse(e.answer) for e in alone[0]] == [thought for _, _, thought in CHAINS]
    assert [e.answer for e in alone[1]] == ["Final judgment: Good", "Final judgment: Bad"]


def test_prompts_carry_no_examples(tmp_path: Path) -> None:
    """A system line and the pair (paper, 3.2.2)."""
    examples = read_examples(written_chains(tmp_path / "chains.parquet"), ITEMS, SftRecipe())

    assert all([m["role"] for m in e.messages] == ["system", "user"] for e in examples)
    assert all("Final judgment" not in m["content"] for e in examples for m in e.messages)


def test_an_unknown_item_is_refused_with_its_row(tmp_path: Path) -> None:
    """The second row's item is gone."""
    chains = written_chains(tmp_path / "chains.parquet")

    with pytest.raises(BadInput, match=r"row 2: no item `mug` in the catalogue"):
        read_examples(chains, {"desk": ITEMS["desk"]}, SftRecipe())


def test_a_text_that_is_no_chain_is_refused_with_its_row(tmp_path: Path) -> None:
    """Nothing that cannot be parsed is taught."""
    row = {"query": "oak desk", "item_id": "desk", "chain_of_thought": "It looks fine."}
    pq.write_table(pa.Table.from_pylist([row]), tmp_path / "chains.parquet")

    with pytest.raises(BadInput, match="row 1: chain of thought: expected `Query attributes:`"):
        read_examples(tmp_path / "chains.parquet", ITEMS, SftRecipe())


def test_a_file_without_chains_is_refused(tmp_path: Path) -> None:
    """An empty file would train on nothing."""
    schema = pa.schema([(name, pa.string()) for name in ("query", "item_id", "chain_of_thought")])
    pq.write_table(schema.empty_table(), tmp_path / "chains.parquet")

    with pytest.raises(BadInput, match="expected at least one row, got an empty chains of thought"):
        read_examples(tmp_path / "chains.parquet", ITEMS, SftRecipe())


def test_only_readable_findings_are_left() -> None:
    """What neither query nor shown fields hold would be invented; the label stays."""
    item = Item("1", "Oak Desk", brand="Norvane", description="solid walnut")
    seen = (finding(), finding("brand", "norvane", "Norvane"))
    unseen = (
        finding("category", "Furniture", None, Verdict.MISSING),
        finding("material", "walnut", "walnut", Verdict.MISMATCH),
    )
    thought = ChainOfThought((*seen, *unseen), Label.BAD, "material")

    left = readable_part(thought, "norvane walnut desk", item, STYLE)

    assert left == ChainOfThought(seen, Label.BAD, "other")


def test_what_is_readable_follows_the_fields_that_are_shown() -> None:
    """A brand in its field is not readable to a model that sees titles alone."""
    item = Item("1", "Oak Desk", brand="Norvane")
    thought = ChainOfThought((finding("brand", "norvane", "Norvane"),), Label.GOOD)
    titles = PromptStyle(guidance=STYLE.guidance, reads=ItemFields.TITLE)

    assert readable_part(thought, "norvane desk", item, STYLE) == thought
    assert readable_part(thought, "norvane desk", item, titles) == ChainOfThought((), Label.GOOD)


@pytest.mark.parametrize("thought", [GOOD_DESK, BAD_MUG])
def test_a_readable_chain_stays_as_it_is(thought: ChainOfThought) -> None:
    """Values compare without case."""
    query, item_id = {GOOD_DESK: ("oak desk", "desk"), BAD_MUG: ("red mug winter", "mug")}[thought]

    assert readable_part(thought, query, ITEMS[item_id], STYLE) == thought
