"""The text form of a chain of thought: round trip, the paper's words, and what is refused where."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from relevance.aspects import aspects
from relevance.chain_of_thought import NOT_STATED, parse, render
from relevance.domain import ChainOfThought, Label, Verdict
from relevance.errors import MalformedText
from tests.relevance.make_values import make_finding, thoughts

BAD = """\
Query attributes:
- product: water bottle
- color: red
- brand: acme
Item attributes:
- product: bottle -> match
- color: blue -> mismatch
- brand: (not stated) -> missing
Final judgment: Bad - color mismatch"""


@given(thoughts())
@example(ChainOfThought((), Label.GOOD))
@example(ChainOfThought((), Label.BAD, "other"))
@example(ChainOfThought((make_finding(offered="x -> match"), make_finding()), Label.BAD, "color"))
def test_what_was_rendered_is_parsed_back(thought):
    assert parse(render(thought)) == thought


def test_the_canonical_text_is_the_documented_one():
    thought = ChainOfThought(
        (
            make_finding("product", "water bottle", "bottle", Verdict.MATCH),
            make_finding("color", "red", "blue", Verdict.MISMATCH),
            make_finding("brand", "acme", None, Verdict.MISSING),
        ),
        Label.BAD,
        "color",
    )

    assert render(thought) == BAD
    assert parse(BAD) == thought


def test_a_query_that_asks_for_nothing_known_has_two_empty_lists():
    text = "Query attributes:\n- (none)\nItem attributes:\n- (none)\nFinal judgment: Good"

    assert render(ChainOfThought((), Label.GOOD)) == text


@pytest.mark.parametrize(
    ("canonical", "paper"),
    [
        ("Query attributes:", "Attributes of the query:"),
        ("Query attributes:", "QUERY ATTRIBUTES:"),
        ("Item attributes:", "attributes of the item:"),
        ("Final judgment:", "Final Judgement:"),
        ("bottle -> match", "bottle -> matched"),
        ("blue -> mismatch", "blue -> mismatched"),
        ("-> missing", "-> not mentioned"),
        ("- color: red", "- 颜色: red"),
        ("- color: blue", "- Color: blue"),
        ("Bad - color mismatch", "bad - 颜色 mismatched"),
    ],
)
def test_the_papers_words_mean_the_same(canonical, paper):
    assert canonical in BAD
    assert parse(BAD.replace(canonical, paper)) == parse(BAD)


@pytest.mark.parametrize("aspect", aspects())
def test_every_name_of_an_aspect_is_known(aspect):
    expected = parse(BAD.replace("color", aspect.name))

    for name in aspect.names:
        assert parse(BAD.replace("color", name)) == expected


@pytest.mark.parametrize(
    ("right", "wrong", "fault"),
    [
        ("Query attributes:", "", "`Query attributes:`"),
        ("Query attributes:\n", "Query attributes: \n", "`Query attributes:`"),
        ("Item attributes:", "What is offered:", "`Item attributes:`"),
        ("Final judgment:", "In the end:", "`Final judgment:`"),
        ("- color: red", "color: red", "`Item attributes:`"),
        ("- color: red", "- color red", "`- <aspect>: <value>`"),
        ("- color: red", "- shade: red", "aspect: expected one of"),
        ("- color: red", "- color: red ", "`- <aspect>: <value>`"),
        ("- color: red", "- color:  red", "`- <aspect>: <value>`"),
        ("- color: red", "- color:", "`- <aspect>: <value>`"),
        ("- color: red\n", "", "2 item lines"),
        ("- color: blue -> mismatch\n", "", "3 item lines, one for each query line, got 2"),
        ("- color: blue", "- store: blue", "answer query lines in order: expected `color`"),
        ("- color: blue -> mismatch", "- color: blue", "`- <aspect>: <value> -> <verdict>`"),
        ("blue -> mismatch", "blue -> perhaps", "verdict: expected one of"),
        ("blue -> mismatch", "blue -> missing", "expected an offered value unless"),
        (f"{NOT_STATED} -> missing", f"{NOT_STATED} -> match", "expected an offered value unless"),
        ("Bad - color mismatch", "Fair", "label: expected one of good, bad"),
        ("Bad - color mismatch", "Bad", "a Bad judgement's cause: expected color"),
        ("Bad - color mismatch", "Bad - brand mismatch", "cause: expected color"),
        ("Bad - color mismatch", "Bad - color match", "expected `mismatch`"),
        ("Bad - color mismatch", "Good - color mismatch", "a Good judgement has no cause"),
        ("Bad - color mismatch", "Bad - color mismatch\n", "`Good` or `Bad - <aspect> mismatch`"),
        ("water bottle", "water\rbottle", "lines ended by"),
        ("water bottle", "water\u2028bottle", "lines ended by"),
    ],
)
def test_anything_else_is_refused_with_what_was_expected(right, wrong, fault):
    assert BAD.count(right)

    with pytest.raises(MalformedText, match="at character") as refusal:
        parse(BAD.replace(right, wrong, 1))

    assert fault in str(refusal.value)


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("", 0),
        (BAD.replace("- color: red", "- shade: red"), BAD.index("color: red")),
        (BAD.replace("blue -> mismatch", "blue -> perhaps"), BAD.index("mismatch")),
        (BAD.replace("Bad", "Fair"), BAD.index("Bad")),
        (BAD.replace("- brand: (not stated)", "- store: (not stated)"), BAD.index("brand: (not")),
        (BAD + "\n", BAD.index("Bad")),
        (BAD.replace("Item", "Its"), BAD.index("Item")),
    ],
)
def test_the_position_is_that_of_the_fault(text, position):
    with pytest.raises(MalformedText) as refusal:
        parse(text)

    assert refusal.value.position == position


@given(st.text())
def test_any_text_is_parsed_or_refused_inside_its_bounds(text):
    position = 0
    try:
        parse(text)
    except MalformedText as fault:
        position = fault.position

    assert 0 <= position <= len(text)


@given(thoughts(), st.data())
def test_damage_is_refused_or_gives_a_value_that_still_round_trips(thought, data):
    text = render(thought)
    at = data.draw(st.integers(0, len(text) - 1))
    damaged = text[:at] + data.draw(st.sampled_from(["", "x", "\n", ":", " -> "])) + text[at + 1 :]

    try:
        found = parse(damaged)
    except MalformedText:
        return

    assert parse(render(found)) == found
