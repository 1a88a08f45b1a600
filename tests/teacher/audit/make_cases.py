"""Hand-made and drawn cases: every combination of label, teacher and student."""

from hypothesis import strategies as st

from relevance.domain import AspectFinding, Item, Judgement, Target, Verdict, conclude
from relevance.records import Pair
from teacher.audit.cases import Case

QUERIES = ("red bottle", "oak desk", "红色 水杯")
ASPECTS = ("color", "brand", "product")


def make_case(
    *,
    query: str = "red bottle",
    number: int = 0,
    good: bool = True,
    log_odds: float = 2.0,
    logit: float | None = None,
    findings: tuple[AspectFinding, ...] = (),
    with_thought: bool = True,
    is_head: bool = True,
    subset: str = "",
) -> Case:
    item = Item(f"I{number}", f"Steel bottle {number}")
    thought = conclude(findings, score=log_odds, threshold=0.0) if with_thought else None
    judgement = Judgement(
        judge="catalogue",
        query=query,
        item_id=item.item_id,
        target=Target.DIRECT,
        log_odds=log_odds,
        fingerprint="f/1",
        held_out_of="outer-0",
        chain_of_thought=thought,
    )
    return Case(Pair(query, item.item_id, good, subset), item, judgement, logit, is_head)


def finding(aspect: str, verdict: Verdict) -> AspectFinding:
    return AspectFinding(aspect, "x", None if verdict is Verdict.MISSING else "y", verdict)


FINDINGS = st.lists(
    st.builds(finding, st.sampled_from(ASPECTS), st.sampled_from(list(Verdict))), max_size=3
).map(tuple)
LOGITS = st.floats(-8, 8, allow_nan=False)
CASES = st.lists(
    st.builds(
        make_case,
        query=st.sampled_from(QUERIES),
        good=st.booleans(),
        log_odds=LOGITS,
        logit=st.none() | LOGITS,
        findings=FINDINGS,
        with_thought=st.booleans(),
        is_head=st.booleans(),
        subset=st.sampled_from(("", "hard")),
        number=st.integers(0, 10**6),
    ),
    min_size=1,
    max_size=25,
)
