"""Structured output: whatever the expressions admit parses, and nothing canonical is shut out."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relevance.aspects import aspect_names
from relevance.chain_of_thought import ITEM_HEADING, JUDGEMENT_HEADING, parse, render
from relevance.domain import AspectFinding, Verdict, conclude
from relevance.errors import BadInput
from teacher.online.llm.structure import (
    asked_aspects,
    item_part,
    item_part_and_judgement,
    query_part,
)

FEW = settings(max_examples=8, deadline=None)  # each compiles an expression of its own
VALUES = st.text(min_size=1, max_size=20).filter(
    lambda t: t == t.strip() and len(t.splitlines()) == 1 and not t.startswith("(")
)
FINDINGS = st.lists(
    st.tuples(st.sampled_from(aspect_names()), VALUES, st.none() | VALUES, st.booleans()),
    max_size=8,
).map(
    lambda rows: tuple(
        AspectFinding(
            aspect,
            asked,
            offered,
            Verdict.MISSING if offered is None else Verdict.MATCH if match else Verdict.MISMATCH,
        )
        for aspect, asked, offered, match in rows
    )
)


def parts(text: str) -> tuple[str, str]:
    """The text of the first request and of the second."""
    at = text.index(ITEM_HEADING) + len(ITEM_HEADING) + 1
    return text[:at], text[at:]


@FEW
@given(FINDINGS, st.booleans())
def test_every_canonical_text_is_admitted(findings: tuple[AspectFinding, ...], good: bool) -> None:
    """The expressions shut out no chain of thought of up to eight lines."""
    begun, end = parts(render(conclude(findings, score=float(good), threshold=0.5)))
    asked = asked_aspects(begun)

    assert re.fullmatch(query_part(), begun)
    assert asked == tuple(f.aspect for f in findings)
    assert re.fullmatch(item_part_and_judgement(asked), end)
    assert re.fullmatch(item_part(asked), end.partition(JUDGEMENT_HEADING)[0] + JUDGEMENT_HEADING)


@FEW
@given(
    st.lists(st.sampled_from(aspect_names()), max_size=3).flatmap(
        lambda asked: st.tuples(
            st.just(asked),
            st.from_regex(item_part_and_judgement(asked), fullmatch=True),
        )
    ),
    st.data(),
)
def test_whatever_is_admitted_parses(drawn: tuple[list[str], str], data: st.DataObject) -> None:
    """Any text the expressions allow is a chain of thought."""
    asked, end = drawn
    lines = [f"- {aspect}: {data.draw(VALUES)}" for aspect in asked] or ["- (none)"]
    begun = "\n".join(["Query attributes:", *lines, ITEM_HEADING, ""])

    thought = parse(begun + end)

    assert tuple(f.aspect for f in thought.findings) == tuple(asked)


@FEW
@given(st.from_regex(query_part(), fullmatch=True))
def test_whatever_is_admitted_of_a_query_can_be_finished(begun: str) -> None:
    """Every beginning has an end that parses."""
    asked = asked_aspects(begun)
    lines = [f"- {aspect}: (not stated) -> missing" for aspect in asked] or ["- (none)"]
    end = "\n".join([*lines, f"{JUDGEMENT_HEADING} Good"])

    assert re.fullmatch(item_part_and_judgement(asked), end)
    assert len(parse(begun + end).findings) == len(asked)


@pytest.mark.parametrize(
    "end",
    [
        "- color: red -> match\n- size: 2 -> match\nFinal judgment: Good",
        "- color: red -> match\n- brand: x -> match\nFinal judgment: Bad - color mismatch",
        "- color: red -> mismatch\n- brand: x -> match\nFinal judgment: Bad - other mismatch",
        "- color: (not stated) -> match\n- brand: x -> match\nFinal judgment: Good",
        "- color: red -> match\nFinal judgment: Good",
    ],
)
def test_contradictions_are_shut_out(end: str) -> None:
    """What the parser would refuse cannot be generated."""
    regex = item_part_and_judgement(["color", "brand"])
    begun = "Query attributes:\n- color: a\n- brand: b\nItem attributes:\n"

    assert not re.fullmatch(regex, end)
    with pytest.raises(BadInput):
        parse(begun + end)
