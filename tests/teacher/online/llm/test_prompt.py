"""The prompt: its shared part is shared, its examples parse, and it says the same as ever."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relevance.aspects import aspect_names
from relevance.chain_of_thought import parse, render
from relevance.domain import ChainOfThought, Item, Label
from relevance.text import normalise
from teacher.online.llm.prompt import (
    Guidance,
    ItemFields,
    Language,
    Mode,
    PromptStyle,
    answer,
    example_answers,
    prompt,
)

STYLES = [PromptStyle(*parts) for parts in product(Language, Guidance, ItemFields)]
BOTTLE = Item(
    "1",
    "Norvane Bottle",
    brand="Norvane",
    color="Blue",
    description="d" * 900,
    attributes=(("Lid", "straw"),),
)


@pytest.mark.parametrize("style", STYLES, ids=str)
@pytest.mark.parametrize("mode", Mode)
def test_only_the_last_message_depends_on_the_pair(style: PromptStyle, mode: Mode) -> None:
    """Whatever an engine can cache stands before the pair."""
    one = prompt("red bottle", BOTTLE, mode=mode, style=style)
    other = prompt("lamp", Item("2", "Oak Lamp"), mode=mode, style=style)

    assert one[:-1] == other[:-1]
    assert one[-1] != other[-1]
    assert one[-1]["role"] == "user"


@pytest.mark.parametrize("language", Language)
def test_examples_are_canonical_and_true_to_their_pair(language: Language) -> None:
    """Every example's answer parses, and its values stand in the query or the item before it."""
    messages = prompt("q", BOTTLE, mode=Mode.COT, style=PromptStyle(language))[1:-1]
    said = [m["content"] for m in messages]

    for asked, told in zip(said[::2], said[1::2], strict=True):
        thought = parse(told)
        assert render(thought) == told
        for finding in thought.findings:
            assert finding.asked in asked
            assert finding.offered is None or finding.offered in asked
    assert {parse(a).label for a in example_answers(language)} == set(Label)


@pytest.mark.parametrize("language", Language)
def test_every_aspect_is_defined(language: Language) -> None:
    """The system prompt defines all fourteen aspects, in Chinese in Chinese."""
    (system, *_) = prompt("q", BOTTLE, mode=Mode.COT, style=PromptStyle(language))
    defined = [line for line in system["content"].splitlines() if line.startswith("- ")]

    for name in aspect_names():
        (line,) = [line for line in defined if line.startswith(f"- {name}: ")]
        assert any("\u4e00" <= c <= "\u9fff" for c in line) == (language is Language.CHINESE)


def test_a_tuned_model_gets_one_sentence_and_the_pair() -> None:
    """No definitions and no examples, so that fine-tuning and serving read the same few tokens."""
    style = PromptStyle(guidance=Guidance.TUNED, reads=ItemFields.TITLE)

    system, user = prompt("red  bottle", BOTTLE, mode=Mode.COT, style=style)

    assert len(system["content"]) < 100
    assert user["content"].startswith("Query: red bottle\nItem: Norvane Bottle\n")
    assert "Brand" not in user["content"]


def test_what_is_read_of_an_item_grows_with_the_fields() -> None:
    """Titles alone, then short fields, then the beginnings of long ones."""
    told = [
        prompt("q", BOTTLE, mode=Mode.COT, style=PromptStyle(reads=reads))[-1]["content"]
        for reads in ItemFields
    ]

    assert "Blue" not in told[0]
    assert "Color: Blue" in told[1]
    assert "Attributes: Lid: straw" in told[1]
    assert "Description" not in told[1]
    assert 350 < told[2].count("d") < 450


@given(st.text(), st.text())
def test_a_pair_cannot_add_lines_of_its_own(query: str, title: str) -> None:
    """Hostile texts stay on their line: they cannot pose as instructions of another role."""
    style = PromptStyle(guidance=Guidance.TUNED, reads=ItemFields.TITLE)

    lines = prompt(query, Item("1", title), mode=Mode.COT, style=style)[-1]["content"].split("\n")

    assert lines[0] == f"Query: {normalise(query)}"
    assert lines[1] == f"Item: {normalise(title)}"
    assert len(lines) == 3


def test_an_answer_is_the_chain_or_the_label_alone() -> None:
    """Both end in the same words, so that one token stands for the judgement."""
    thought = ChainOfThought((), Label.GOOD)

    assert answer(thought, mode=Mode.COT) == render(thought)
    assert answer(thought, mode=Mode.DIRECT) == "Final judgment: Good"


def test_styles_have_fingerprints_of_their_own() -> None:
    """A changed prompt is another judge."""
    assert len({style.fingerprint for style in STYLES}) == len(STYLES)
