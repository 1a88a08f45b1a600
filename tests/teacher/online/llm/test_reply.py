"""Replies: dressing comes off, everything else is refused, and evidence is never guessed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relevance.chain_of_thought import JUDGEMENT_HEADING, parse, render
from relevance.domain import Relevance, Side
from relevance.errors import MalformedText
from teacher.online.llm.prompt import Language, example_answers
from teacher.online.llm.reply import read_findings, read_reply, spans_of

CANONICAL = example_answers(Language.ENGLISH)[0]


@pytest.mark.parametrize(
    "dressed",
    [
        "Sure! Here is my analysis.\n\n{}",
        "```\n{}\n```\nI hope this helps.",
        "**{}**",
        "  {}  ",
        "{}\n\nNote: the colours differ.",
    ],
)
def test_dressing_comes_off(dressed: str) -> None:
    """Chatter, fences and spaces around the answer change nothing."""
    assert read_reply(dressed.format(CANONICAL)) == parse(CANONICAL)


def test_other_bullets_and_blank_lines_are_read() -> None:
    """Lists with stars and empty lines between them are the same lists."""
    dressed = CANONICAL.replace("\n- ", "\n\n* ").replace("\n", "\r\n")

    assert read_reply(dressed) == parse(CANONICAL)


@pytest.mark.parametrize("language", Language)
def test_findings_are_read_without_a_judgement(language: Language) -> None:
    """An answer that ends where log-odds are read has all its findings."""
    for text in example_answers(language):
        cut = text.rpartition(JUDGEMENT_HEADING)[0]

        assert read_findings(cut) == parse(text).findings
        assert read_findings(cut + JUDGEMENT_HEADING) == parse(text).findings


@given(st.text())
def test_anything_else_is_refused_and_never_breaks(text: str) -> None:
    """Garbage is malformed text, not another exception."""
    try:
        thought = read_reply(text)
    except MalformedText:
        return
    assert parse(render(thought)) == thought


def test_evidence_stands_where_the_texts_say_it() -> None:
    """Every span's characters are the value it was found by; a value not in the texts has none."""
    thought = parse(CANONICAL)
    query, title = "red stainless steel water bottle 24 oz", "Blue Water Bottle, 24 oz, Blue lid"

    spans = spans_of(thought, query, title)

    texts = {Side.QUERY: query, Side.TITLE: title}
    said = {(texts[s.side][s.start : s.end], s.relevance, s.aspect) for s in spans}
    assert ("red", Relevance.IRRELEVANT, "color") in said
    assert ("24 oz", Relevance.RELEVANT, "other") in said
    assert sum(s.side is Side.TITLE and s.aspect == "color" for s in spans) == 2
    assert not any(s.side is Side.TITLE and s.aspect == "material" for s in spans)


def test_chinese_values_are_found_without_spaces() -> None:
    """Scripts without spaces match anywhere."""
    thought = parse(example_answers(Language.CHINESE)[0])

    spans = spans_of(thought, "红色不锈钢保温杯500ml", "诺凡 304不锈钢保温杯 500ml 便携水杯 蓝色")

    assert {s.aspect for s in spans if s.side is Side.QUERY} == {
        "product",
        "color",
        "material",
        "other",
    }
    assert {s.aspect for s in spans if s.side is Side.TITLE} >= {"product", "color", "material"}
