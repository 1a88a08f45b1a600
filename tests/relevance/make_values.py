"""Generated and handmade values for the tests of `relevance`: factories, strategies, no oracles."""

from hypothesis import strategies as st

from relevance.aspects import aspect_names
from relevance.chain_of_thought import ITEM_HEADING, JUDGEMENT_HEADING, NOTHING, QUERY_HEADING
from relevance.domain import (
    NOT_STATED,
    AspectFinding,
    ChainOfThought,
    EvidenceSpan,
    Label,
    Relevance,
    Side,
    Verdict,
    conclude,
)
from relevance.records import Pair

AWKWARD = [
    "不锈钢 保温杯",
    "a: b",
    "a -> match",
    "-> ->",
    "- color: red",
    "- (none)",
    "missing",
    NOT_STATED,
    NOTHING,
    QUERY_HEADING,
    ITEM_HEADING,
    f"{JUDGEMENT_HEADING} Good",
]
values = st.sampled_from(AWKWARD) | st.text(min_size=1).map(str.strip).filter(
    lambda text: len(text.splitlines()) == 1
)


@st.composite
def findings(draw: st.DrawFn) -> AspectFinding:
    verdict = draw(st.sampled_from(Verdict))
    offered = values.filter(lambda value: value != NOT_STATED)
    return AspectFinding(
        draw(st.sampled_from(aspect_names())),
        draw(values),
        None if verdict is Verdict.MISSING else draw(offered),
        verdict,
    )


@st.composite
def thoughts(draw: st.DrawFn) -> ChainOfThought:
    found = tuple(draw(st.lists(findings(), max_size=6)))
    if draw(st.booleans()):
        return ChainOfThought(found, Label.GOOD)
    mismatching = conclude(found, score=0, threshold=1)
    causes = mismatching.mismatching or (mismatching.cause,)
    return ChainOfThought(found, Label.BAD, draw(st.sampled_from(causes)))


def make_finding(
    aspect: str = "color",
    asked: str = "red",
    offered: str | None = "blue",
    verdict: Verdict = Verdict.MISMATCH,
) -> AspectFinding:
    return AspectFinding(aspect, asked, offered, verdict)


def make_span(
    start: int,
    end: int,
    relevance: Relevance = Relevance.RELEVANT,
    side: Side = Side.TITLE,
    aspect: str = "color",
) -> EvidenceSpan:
    return EvidenceSpan(side, start, end, relevance, aspect)


def make_pair(
    query: str = "red shoe", item_id: str = "1", good: bool | None = True, subset: str = ""
) -> Pair:
    return Pair(query, item_id, good, subset)
