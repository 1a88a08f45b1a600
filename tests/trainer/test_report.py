"""The report of synthetic folds: complete, honest in wording, safe against hostile text."""

import copy
import html
from pathlib import Path

import pytest

from relevance.errors import BadInput
from relevance.records import DataSet
from tests.trainer.make_report import (
    Example,
    Page,
    interval,
    make_entry,
    make_example,
    make_span,
    seen,
)
from trainer.report import render_report

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
        spans=[make_span("query", 0, 3, "relevant", "color")],
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


def test_the_base_rate_and_what_was_compared_stand_in_the_headline(page: str) -> None:
    text = seen(page)

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

    assert "Invented data." not in seen(page)
    assert "Invented data." in seen(rendered)
    assert "3.0 % of the labels are wrong on purpose" in seen(rendered)


def test_undefined_measures_are_shown_as_gaps(example: Example) -> None:
    measures = copy.deepcopy(example.measures)
    nan = float("nan")
    for models in (measures["models"], *measures["per_fold"].values()):
        models["mkd"] = dict.fromkeys(models["mkd"], nan)
        models["ce"] = dict.fromkeys(models["ce"])
    for found in measures["differences"].values():
        found.update(dict.fromkeys(found, interval(nan, nan, nan)))
    measures["slices"][0]["roc_auc"] = dict.fromkeys(measures["slices"][0]["roc_auc"], nan)

    text = seen(example.page(measures=measures))

    assert "nan" not in text.lower()
    assert "The difference is undefined for these pairs" in text


def test_no_slice_and_no_served_score_leave_a_word_behind(example: Example) -> None:
    live = {**example.live, "served": [{**row, "score": None} for row in example.live["served"]]}
    measures = {**example.measures, "slices": []}

    text = seen(example.page(measures=measures, live=live))

    assert "No slice has 30 pairs of both labels." in text
    assert "Undefined: these pairs are all of one label, or there are none." in text
    assert "120 more had no score" in text


def test_one_fold_has_no_table_of_folds(tmp_path: Path) -> None:
    text = seen(make_example(tmp_path, folds=1).page())

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
