"""The report of synthetic folds: complete, honest in wording, safe against hostile text."""

import copy
import html
import json
import re
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from relevance.domain import Judgement, Target
from relevance.errors import BadInput
from relevance.records import DataSet, Pair, find_data_set, write_judgements, write_pairs
from trainer.evaluate import compare
from trainer.fold_scores import read_fold
from trainer.report import render_report
from trainer.report_figures import _precision_on_grid, _roc_on_grid, mean_curve
from trainer.report_numbers import difference_sentence, gap_sentences, percent, points, reading
from trainer.report_pairs import pair_view
from trainer.score_files import write_scores

HOSTILE = '<script>alert("x")</script> & "quoted" {{ 7 * 7 }}'
SECTIONS = (
    "judges",
    "curves",
    "served",
    "slices",
    "changes",
    "explained",
    "running",
    "reproduce",
    "definitions",
)
COLORS = ("red", "blue", "green", "black", "white")
THINGS = ("water bottle", "desk lamp", "running shoe", "phone case", "rain jacket")


@dataclass(frozen=True, slots=True)
class Example:
    """A synthetic run: what `render_report` is given."""

    measures: dict[str, Any]
    data: DataSet
    folders: list[Path]
    live: dict[str, Any]

    def page(self, **changed: Any) -> str:
        given = {"measures": self.measures, "folders": self.folders, "live": self.live}
        return render_report(data=self.data, **{**given, **changed})


def make_example(folder: Path, *, folds: int = 2) -> Example:
    """Two folds of 120 pairs whose judges know more and more."""
    random = np.random.default_rng(0)
    titles = {f"I{at}": f"Acme {color} {thing}" for at, (color, thing) in enumerate(_wares())}
    titles["I0"] = HOSTILE
    items = ({"item_id": key, "title": title} for key, title in titles.items())
    (folder / "shop_items.jsonl").write_text("".join(json.dumps(row) + "\n" for row in items))
    pairs = [
        [
            Pair(f"{color} {thing} {fold}", f"I{item}", bool(item % 3), ("short", "long")[at % 2])
            for at, (color, thing) in enumerate(_wares()[:12])
            for item in range(10)
        ]
        for fold in range(folds)
    ]
    write_pairs(folder / "shop_pairs.parquet", [pair for part in pairs for pair in part])
    folders = [folder / f"fold{fold}" for fold in range(folds)]
    for fold, part in zip(folders, pairs, strict=True):
        write_fold(fold, part, random)
    data = find_data_set(folder / "shop")
    return Example(compare(data, folders), data, folders, make_live(pairs[0], random))


def write_fold(folder: Path, pairs: list[Pair], random: np.random.Generator) -> None:
    signs = np.array([1.0 if pair.good else -1.0 for pair in pairs])

    def judged(skill: float) -> np.ndarray:
        return np.clip(signs * skill + random.normal(0, 1.5, len(pairs)), -8, 8)

    write_scores(folder / "ce_scores.parquet", pairs, judged(0.5))
    write_scores(folder / "mkd_scores.parquet", pairs, judged(0.9))
    (folder / "teacher").mkdir(parents=True)
    write_judgements(
        folder / "teacher" / "judgements.parquet",
        [
            Judgement("catalogue", pair.query, pair.item_id, Target.DIRECT, float(logit), "f0")
            for pair, logit in zip(pairs, judged(1.6), strict=True)
        ],
    )


def make_live(pairs: list[Pair], random: np.random.Generator) -> dict[str, Any]:
    served = [
        {
            "query": pair.query,
            "item_id": pair.item_id,
            "good": pair.good,
            "score": float(np.clip(0.3 + 0.4 * bool(pair.good) + random.normal(0, 0.2), 0, 1)),
        }
        for pair in pairs
    ]
    served[0]["score"] = None
    return {
        "bundle": "7f3a",
        "generation": "g-0001",
        "parity": {"encoder_max_difference": 2.1e-6, "maxima_differing": 0.0, "pairs": 200.0},
        "score_100_ms": 2.31,
        "score_1000_ms": 5.87,
        "served": served,
        "served_fold": "fold0",
        "explained": [make_entry(), make_entry(title=HOSTILE, good=None, spans=[])],
        "steps": [
            {"name": "fold0-teacher", "seconds": 12.3, "reused": True},
            {"name": "fold0-mkd", "seconds": 301.4, "reused": False},
        ],
    }


def make_entry(**changed: Any) -> dict[str, Any]:
    entry = {
        "query": "red water bottle",
        "item_id": "I3",
        "title": "Acme blue water bottle, 24 oz",
        "good": False,
        "score": 0.312,
        "label": "Bad",
        "threshold": 0.55,
        "teacher": {"judge": "catalogue", "state": "ok", "score": 0.12, "label": "Bad"},
        "chain_of_thought": "Query attributes:\n- color: red\nItem attributes:\n"
        "- color: blue -> mismatch\nFinal judgment: Bad - color mismatch",
        "aspects": [
            {"aspect": "color", "asked": "red", "offered": "blue", "verdict": "mismatch"},
            {"aspect": "brand", "asked": "hydra", "offered": None, "verdict": "missing"},
        ],
        "spans": [
            span("query", 0, 3, "irrelevant", "color"),
            span("query", 4, 16, "relevant", "product"),
            span("title", 5, 15, "irrelevant", "color"),
            span("title", 10, 22, "relevant", "product"),
        ],
        "contributions": [
            {"token": "red", "contribution": 1.9, "best_item_token": "blue", "cosine": 0.41},
            {"token": "bottle", "contribution": -0.2, "best_item_token": "oz", "cosine": -0.02},
        ],
        "bias": -2.5,
        "logit": -0.8,
    }
    return {**entry, **changed}


def span(side: str, start: int, end: int, relevance: str, aspect: str) -> dict[str, Any]:
    return {"side": side, "start": start, "end": end, "relevance": relevance, "aspect": aspect}


class Page(HTMLParser):
    """Checks nesting and gathers what the tests look at."""

    VOID = ("meta", "link", "br", "hr", "img")

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.addresses: list[str] = []
        self.tags: list[str] = []
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in self.VOID:
            self.open.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            if name in ("href", "src", "action", "srcset", "data"):
                self.addresses.append(value or "")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Example:
    return make_example(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def page(example: Example) -> str:
    return example.page()


def _wares() -> list[tuple[str, str]]:
    return [(color, thing) for thing in THINGS for color in COLORS]


def _seen(page: str) -> str:
    """The page's text without tags, white space as single blanks."""
    shown = re.sub(r"<style>.*?</style>|<svg.*?</svg>", " ", page, flags=re.DOTALL)
    return " ".join(re.sub(r"<[^>]+>", "", shown).split())


def _interval(value: float, low: float, high: float) -> dict[str, float]:
    return {"value": value, "low": low, "high": high}


def test_every_section_is_there_in_order(page: str) -> None:
    found = [page.index(f'<h2 id="{section}">') for section in SECTIONS]

    assert found == sorted(found)
    assert page.startswith("<!doctype html>")


def test_the_page_is_well_formed_and_its_ids_are_unique(page: str) -> None:
    parsed = Page(page)

    assert len(parsed.ids) == len(set(parsed.ids))
    assert parsed.tags.count("svg") == 6


def test_nothing_is_asked_of_any_host_and_no_script_is_there(page: str) -> None:
    parsed = Page(page)

    assert all(address.startswith(("#", "data:,")) for address in parsed.addresses)
    assert not {"script", "img", "iframe", "object"} & set(parsed.tags)
    assert "http:" not in page
    assert "https:" not in page
    assert "url(" not in page.replace("url(#", "")


def test_a_hostile_title_is_text(page: str) -> None:
    assert "<script>alert" not in page
    assert (
        "&lt;script&gt;alert(&#34;x&#34;)&lt;/script&gt; &amp; &#34;quoted&#34; {{ 7 * 7 }}" in page
    )


def test_a_hostile_query_aspect_token_and_data_set_name_are_text(example: Example) -> None:
    bad = "<b>'x'</b>"
    entry = make_entry(
        query=bad,
        spans=[span("query", 0, 3, "relevant", "color")],
        chain_of_thought=bad,
        label=bad,
        teacher={"judge": bad, "state": bad, "score": None, "label": None},
        aspects=[{"aspect": bad, "asked": bad, "offered": bad, "verdict": bad}],
        contributions=[{"token": bad, "contribution": 1.0, "best_item_token": bad}],
    )
    live = {**example.live, "explained": [entry], "bundle": bad, "generation": bad}

    page = example.page(live=live, measures={**example.measures, "dataset": bad})

    assert "<b>" not in page
    assert "b" not in Page(page).tags


def test_the_same_input_gives_the_same_bytes_and_stays_as_it_was(
    example: Example, page: str
) -> None:
    before = copy.deepcopy((example.measures, example.live))

    assert example.page() == page
    assert (example.measures, example.live) == before


def test_figures_follow_the_colour_scheme_and_have_a_text(page: str) -> None:
    drawings = re.findall(r"<svg.*?</svg>", page, flags=re.DOTALL)

    assert all('role="img" aria-label="' in drawing for drawing in drawings)
    assert not re.search(r"#[0-9a-f]{6}\b", "".join(drawings))


def test_the_base_rate_and_what_was_compared_stand_in_the_headline(page: str) -> None:
    text = _seen(page)

    assert "near the base rate of Bad, 40.0 %" in text
    assert "Test pairs240" in text
    assert "Folds fold0, fold1" in text.replace("Foldsfold0", "Folds fold0")
    assert "It is not the paper's ELLM-rele" in text


def test_invented_data_is_called_so_only_where_the_pairs_say_it(
    example: Example, page: str, tmp_path: Path
) -> None:
    import pyarrow.parquet as pq

    table = pq.read_table(example.data.pairs)
    marked = table.replace_schema_metadata({"sample_shop": "abc", "label_noise": "0.03"})
    pq.write_table(marked, tmp_path / "shop_pairs.parquet")
    shop = DataSet("shop", example.data.items, tmp_path / "shop_pairs.parquet", None, None)

    rendered = render_report(
        measures=example.measures, data=shop, folders=example.folders, live=example.live
    )

    assert "Invented data." not in _seen(page)
    assert "Invented data." in _seen(rendered)
    assert "3.0 % of the labels are wrong on purpose" in _seen(rendered)


@pytest.mark.parametrize(
    ("interval", "expected"),
    [
        (_interval(0.02, 0.01, 0.03), "is +2.0 points (95 % interval +1.0 to +3.0). The interval "
         "excludes 0: the MKD student is above the CE student."),
        (_interval(-0.02, -0.03, -0.01), "excludes 0: the MKD student is below the CE student."),
        (_interval(0.02, -0.01, 0.05), "The interval includes 0: this run does not show a"),
        (_interval(0.02, float("nan"), float("nan")), "too few queries for an interval"),
        (_interval(float("nan"), 0, 0), "The difference is undefined"),
    ],
)  # fmt: skip
def test_a_difference_says_whether_its_interval_excludes_0(interval, expected) -> None:
    said = difference_sentence("mkd_minus_ce", "ROC-AUC", interval)

    assert expected in " ".join(said.split())


def test_a_student_above_its_teacher_is_said_plainly() -> None:
    said = reading("teacher_minus_mkd", _interval(-0.02, -0.03, -0.01))

    assert said == (
        "The interval excludes 0: the catalogue teacher is below the MKD student, its own student."
    )


@pytest.mark.parametrize(
    ("gain", "gap", "left", "expected"),
    [
        (
            0.02,
            _interval(0.08, 0.05, 0.1),
            -0.1,
            "25.0 % of the teacher's lead over CE (+8.0 points) is",
        ),
        (0.1, _interval(0.08, 0.05, 0.1), -0.1, "the student is measured above its teacher."),
        (0.1, _interval(0.08, 0.05, 0.1), 0.1, "above its teacher, though the interval of that"),
        (
            -0.01,
            _interval(0.08, 0.05, 0.1),
            0.1,
            "none of the teacher's lead over CE (+8.0 points) is closed, as the MKD",
        ),
        (0.02, _interval(0.08, -0.01, 0.1), 0.1, "so the share means little"),
        (0.02, _interval(-0.01, -0.1, 0.1), 0.1, "there is no lead to pass on"),
        (0.02, _interval(float("nan"), 0, 0), 0.1, "the teacher's lead over CE is undefined"),
    ],
)
def test_the_closed_share_of_the_gap_is_honest(gain, gap, left, expected) -> None:
    differences = {
        "mkd_minus_ce": {"roc_auc": _interval(gain, 0, 1), "neg_pr_auc": _interval(gain, 0, 1)},
        "teacher_minus_ce": {"roc_auc": gap, "neg_pr_auc": gap},
        "teacher_minus_mkd": {
            "roc_auc": _interval(gap["value"] - gain, -1, left),
            "neg_pr_auc": _interval(gap["value"] - gain, -1, left),
        },
    }

    assert expected in gap_sentences(differences)[0].replace("\N{NO-BREAK SPACE}", " ")


def test_numbers_have_one_decimal_a_sign_and_a_dash_where_undefined() -> None:
    assert percent(0.7184) == "71.8\N{NO-BREAK SPACE}%"
    assert (points(0.0131), points(-0.0131), points(-0.0001)) == ("+1.3", "−1.3", "0.0")
    assert (percent(float("nan")), points(None)) == ("–", "–")


def test_the_area_under_an_averaged_curve_is_the_mean_of_the_areas(example: Example) -> None:
    titles = {f"I{at}": "" for at in range(25)}
    folds = [read_fold(folder, titles) for folder in example.folders]
    model = example.measures["models"]["mkd"]

    roc = mean_curve(folds, "mkd", _roc_on_grid)
    precision = mean_curve(folds, "mkd", _precision_on_grid)

    assert roc is not None
    assert precision is not None
    assert np.trapezoid(roc, np.linspace(0, 1, 201)) == pytest.approx(model["roc_auc"], abs=0.01)
    assert precision.mean() == pytest.approx(model["neg_pr_auc"], abs=0.01)


def test_evidence_is_marked_where_it_stands(page: str) -> None:
    title = re.search(r"Title: </span>(.*?)</p>", page)
    assert title is not None
    marks = re.findall(r'<mark class="(\w+)" title="([^"]+)">([^<]*)<', title[1])

    assert marks == [
        ("irrelevant", "color: irrelevant", "blue "),
        ("irrelevant", "color: irrelevant, product: relevant", "water"),
        ("relevant", "product: relevant", " bottle"),
    ]


def test_evidence_outside_its_text_is_refused() -> None:
    entry = make_entry(spans=[span("query", 4, 99, "relevant", "product")])

    with pytest.raises(BadInput, match=r"pair 3: expected query evidence within \[0, 16\), got"):
        pair_view(entry, 3)


@pytest.mark.parametrize(
    "wrong",
    [{"side": "image"}, {"relevance": "maybe"}, {"aspect": "price"}, {"start": 9, "end": 9}],
)
def test_evidence_that_is_none_is_refused(wrong) -> None:
    entry = make_entry(spans=[{**span("query", 0, 3, "relevant", "color"), **wrong}])

    with pytest.raises(BadInput, match="explained pair 1: "):
        pair_view(entry, 1)


def test_what_an_explanation_may_lack_is_left_out(example: Example) -> None:
    bare = {"query": "red bottle", "title": "", "score": None}
    live = {**example.live, "explained": [bare]}

    text = _seen(example.page(live=live))

    assert "no score, the item has no text" in text
    assert "human: not labelled" in text
    assert "No aspect was found in the query." in text


def test_undefined_measures_are_shown_as_gaps(example: Example) -> None:
    measures = copy.deepcopy(example.measures)
    nan = float("nan")
    for models in (measures["models"], *measures["per_fold"].values()):
        models["mkd"] = dict.fromkeys(models["mkd"], nan)
        models["ce"] = dict.fromkeys(models["ce"])
    for found in measures["differences"].values():
        found.update(dict.fromkeys(found, _interval(nan, nan, nan)))
    measures["slices"][0]["roc_auc"] = dict.fromkeys(measures["slices"][0]["roc_auc"], nan)

    text = _seen(example.page(measures=measures))

    assert "nan" not in text.lower()
    assert "The difference is undefined for these pairs" in text


def test_no_slice_and_no_served_score_leave_a_word_behind(example: Example) -> None:
    live = {**example.live, "served": [{**row, "score": None} for row in example.live["served"]]}
    measures = {**example.measures, "slices": []}

    text = _seen(example.page(measures=measures, live=live))

    assert "No slice has 30 pairs of both labels." in text
    assert "Undefined: these pairs are all of one label, or there are none." in text
    assert "120 more had no score" in text


def test_one_fold_has_no_table_of_folds(tmp_path: Path) -> None:
    text = _seen(make_example(tmp_path, folds=1).page())

    assert "Each fold by itself" not in text
    assert "Of the one test part, fold0." in text


def test_folders_of_other_folds_than_measured_are_refused(example: Example) -> None:
    with pytest.raises(BadInput, match="expected the folders of fold0, fold1, got fold0"):
        example.page(folders=example.folders[:1])


@pytest.mark.parametrize("missing", ["served", "parity", "steps", "score_100_ms", "explained"])
def test_a_missing_part_of_the_live_file_is_no_silent_gap(example: Example, missing) -> None:
    live = {key: value for key, value in example.live.items() if key != missing}

    with pytest.raises(KeyError, match=missing):
        example.page(live=live)


def test_pairs_that_distillation_broke_are_shown_beside_those_it_righted(example) -> None:
    flips = example.measures["flips"]

    page = example.page()

    section = page.split('<h2 id="changes">')[1].split("</section>")[0]
    assert f"decides {flips['wrong_to_right']:,} pairs rightly" in section
    assert f"and {flips['right_to_wrong']:,} wrongly" in section
    assert section.count("<td>righted</td>") == len(flips["righted"]) > 0
    assert section.count("<td>broken</td>") == len(flips["broken"]) > 0
    assert html.escape(flips["broken"][0]["title"]) in section


def test_mismatches_are_shown_by_aspect_where_there_are_enough(example) -> None:
    rows = [
        {"aspect": "color", "pairs": 40, "ce": 0.5, "mkd": 0.75, "teacher": 1.0},
        {"aspect": "brand", "pairs": 9, "ce": 0.5, "mkd": 0.75, "teacher": 1.0},
    ]

    page = example.page(measures={**example.measures, "mismatch_recall": rows})

    section = page.split('<h2 id="changes">')[1].split("</section>")[0]
    assert '<th scope="row">color</th><td>40</td>' in section
    assert "brand" not in section.split("Mismatches caught")[1]
