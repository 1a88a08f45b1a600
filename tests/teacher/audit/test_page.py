"""The audit's JSON and page: complete, honest about what is undefined, safe against any text."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from relevance.domain import EvidenceSpan, Item, Relevance, Side, Target, Verdict
from relevance.errors import BadInput
from teacher.audit.cases import Case
from teacher.audit.content import Amounts, audit_content
from teacher.audit.page import language, render_page
from teacher.audit.sources import Joined
from tests.teacher.audit.make_cases import finding, make_case

HOSTILE = '<script>alert("x")</script><img src=x onerror=alert(1)> {{ 7 * 7 }}'
VOID = {"meta", "link", "br", "img"}


class Page(HTMLParser):
    """Tags, attributes and whether every element is closed where it was opened."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self._open: list[str] = []
        self.feed(page)
        assert not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag


def joined(*cases: Case) -> Joined:
    return Joined(
        dataset="shop",
        cases=cases,
        judge="catalogue",
        target=Target.DIRECT,
        fingerprints=("f/1",),
        pairs=len(cases) + 3,
        seen=1,
    )


def with_texts(case: Case, *, query: str, title: str, spans: tuple[EvidenceSpan, ...]) -> Case:
    return replace(
        case,
        pair=replace(case.pair, query=query),
        item=Item(case.item.item_id, title),
        judgement=replace(case.judgement, query=query, spans=spans),
    )


@pytest.fixture(scope="module")
def cases() -> tuple[Case, ...]:
    told = (finding("brand", Verdict.MISMATCH), finding("color", Verdict.MISSING))
    span = EvidenceSpan(Side.TITLE, 0, 5, Relevance.IRRELEVANT, "brand")
    missed = make_case(good=False, log_odds=-2.0, logit=1.0, findings=told)
    return (
        with_texts(missed, query="red bottle", title="Steel bottle", spans=(span,)),
        make_case(number=1, good=True, log_odds=-3.0, logit=-1.0, findings=told),
        make_case(number=2, good=True, log_odds=2.0, logit=1.0),
        make_case(number=3, good=True, log_odds=-1.0, logit=2.0, is_head=False),
        make_case(number=4, good=False, log_odds=1.0, logit=None, subset="hard"),
    )


def test_each_pair_is_written_once_and_lists_point_at_it(cases) -> None:
    content = audit_content(joined(*cases))

    ids = [(pair["query"], pair["item_id"]) for pair in content["pairs"]]
    assert len(ids) == len(set(ids))
    listed = [
        *content["label_errors"]["pairs"],
        *(place for places in content["samples"].values() for place in places),
        *(place for row in content["worst_queries"] for place in row["examples"]),
        *(place for row in content["aspects"] for place in (*row["missed"], *row["accused"])),
    ]
    assert set(listed) == set(range(len(ids)))
    for kind, places in content["samples"].items():
        assert {content["pairs"][place]["kind"] for place in places} <= {kind}


def test_suspected_labels_are_those_the_teacher_contradicts_surest_first(cases) -> None:
    content = audit_content(joined(*cases))

    listed = [content["pairs"][place] for place in content["label_errors"]["pairs"]]
    assert [pair["item_id"] for pair in listed] == ["I1", "I4", "I3"]
    assert all(pair["teacher"]["label"] != pair["human"] for pair in listed)


def test_amounts_bound_every_list(cases) -> None:
    content = audit_content(joined(*cases), amounts=Amounts(label_errors=1, queries=0, samples=0))

    assert len(content["label_errors"]["pairs"]) == len(content["pairs"]) == 1
    assert content["worst_queries"] == []


def test_undefined_numbers_are_null_and_the_json_is_strict(cases) -> None:
    content = audit_content(joined(cases[4]))

    assert content["slices"][0]["teacher_roc_auc"] is None
    assert content["slices"][0]["student_wrong"] is None
    assert json.loads(json.dumps(content, allow_nan=False)) == content


def test_the_ranking_is_measured_where_the_right_labels_are_known(cases) -> None:
    known = {(c.pair.query, c.pair.item_id): c.pair.item_id in ("I2", "I3") for c in cases}

    measured = audit_content(joined(*cases), known=known)["label_errors"]

    assert (measured["measured"]["pairs"], measured["measured"]["errors"]) == (5, 1)
    assert measured["measured"]["average_precision"] == {"teacher": 1.0}
    assert measured["measured_with_student"]["pairs"] == 4
    assert audit_content(joined(*cases))["label_errors"]["measured"] is None


def test_the_page_is_well_formed_asks_no_host_and_runs_nothing(cases) -> None:
    known = {(c.pair.query, c.pair.item_id): True for c in cases}
    page = render_page(audit_content(joined(*cases), known=known))
    parsed = Page(page)

    assert not {"script", "img", "iframe", "object", "form"} & set(parsed.tags)
    assert "http:" not in page
    assert "https:" not in page
    assert "url(" not in page
    addresses = [value or "" for name, value in parsed.attributes if name in ("href", "src")]
    assert all(address.startswith(("#", "data:,")) for address in addresses)
    anchors = {value for name, value in parsed.attributes if name == "id"}
    assert {address[1:] for address in addresses if address.startswith("#")} <= anchors


def test_the_page_says_which_mismatch_the_student_missed(cases) -> None:
    page = render_page(audit_content(joined(*cases)))

    text = " ".join(re.sub(r"<[^>]+>", "", page).split())
    assert "Bad - brand mismatch the student missed 1 of 1 pairs it scored" in text


def test_evidence_is_marked_and_read_aloud(cases) -> None:
    page = render_page(audit_content(joined(*cases)))

    assert (
        '<mark class="irrelevant" title="brand: irrelevant">Steel'
        '<span class="unseen"> [brand: irrelevant] </span></mark> bottle' in page
    )


def test_hostile_texts_are_text(cases) -> None:
    spans = (EvidenceSpan(Side.QUERY, 0, 8, Relevance.RELEVANT, "color"),)
    case = with_texts(cases[0], query=HOSTILE, title=HOSTILE, spans=spans)
    case = replace(case, pair=replace(case.pair, item_id=HOSTILE, subset=HOSTILE))
    hostile = replace(joined(*([case] * 3)), dataset=HOSTILE, judge=HOSTILE)

    page = render_page(audit_content(hostile))

    assert not {"script", "img"} & set(Page(page).tags)
    assert "{{ 7 * 7 }}" in page
    assert not [name for name, _ in Page(page).attributes if name.startswith("on")]


def test_evidence_outside_its_text_is_refused(cases) -> None:
    spans = (EvidenceSpan(Side.TITLE, 5, 50, Relevance.RELEVANT, "color"),)
    case = with_texts(cases[0], query="red", title="Steel", spans=spans)

    with pytest.raises(BadInput, match=r"title evidence within \[0, 5\), got \[5, 50\)"):
        render_page(audit_content(joined(case)))


def test_chinese_texts_keep_their_characters_marks_and_language(cases) -> None:
    spans = (
        EvidenceSpan(Side.QUERY, 0, 2, Relevance.IRRELEVANT, "color"),
        EvidenceSpan(Side.TITLE, 3, 5, Relevance.IRRELEVANT, "color"),
    )
    case = with_texts(cases[0], query="红色水杯", title="不锈钢蓝色保温杯", spans=spans)
    told = replace(finding("color", Verdict.MISMATCH), asked="红色", offered="蓝色")
    thought = make_case(good=False, log_odds=-2.0, findings=(told,)).judgement.chain_of_thought
    case = replace(case, judgement=replace(case.judgement, chain_of_thought=thought))

    page = render_page(audit_content(joined(case)))

    assert '<span lang="zh"><mark class="irrelevant" title="color: irrelevant">红色' in page
    assert '>不锈钢<mark class="irrelevant" title="color: irrelevant">蓝色' in page
    assert re.search(r'<pre class="thought" lang="zh">Query attributes:\n- color: 红色\n', page)
    assert "- color: 蓝色 -&gt; mismatch" in page


@pytest.mark.parametrize(
    ("text", "tag"), [("保温杯", "zh"), ("赤いコップ", "ja"), ("水筒ケース", "ja"), ("cup", "")]
)
def test_han_characters_are_given_a_language(text, tag) -> None:
    assert language(text) == tag


def test_the_same_audit_gives_the_same_page(cases) -> None:
    assert render_page(audit_content(joined(*cases))) == render_page(audit_content(joined(*cases)))
