"""Pair, ranking and errors clicked through."""

import csv
import json

import pytest
from playwright.sync_api import expect

from tests.service.console.in_chromium.addresses import of_pair
from tests.service.console.make_shop_service import HOSTILE_ID

pytestmark = [pytest.mark.slow, pytest.mark.network]


def test_a_pair_is_chosen_by_typing_and_explained(console, service, pair) -> None:
    query, item_id = pair
    page = console.page
    console.go("")

    page.get_by_label("Query").fill(query)
    page.get_by_role("combobox", name="Item", exact=True).press_sequentially(item_id[:-1])
    expect(page.locator(".proposals li").first).to_be_visible()
    page.get_by_role("combobox", name="Item", exact=True).fill(item_id)
    expect(page.locator(".proposals li")).to_have_count(1)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.locator(".findings")).to_be_visible()

    told = service.post("/explain", {"query": query, "item_id": item_id}).json()
    assert page.locator(".judge .figure").all_inner_texts() == [
        f"{told['score']:.3f}",
        f"{told['teacher']['score']:.3f}",
    ]
    assert page.locator(".contributions tbody tr").count() == len(told["contributions"])
    assert page.locator(".heat td.path").count() == len(told["contributions"])
    rows, columns = page.locator(".heat tbody tr").count(), page.locator(".heat thead th").count()
    assert page.locator(".heat td[data-at]").count() == rows * columns
    assert page.locator(".findings tbody tr").count() == len(told["aspects"])
    assert page.locator(".thought").text_content() == told["chain_of_thought"]
    sides = {span["relevance"] for span in told["spans"]}
    assert {m.get_attribute("class") for m in page.locator(".marked mark").all()} == sides
    assert told["bundle"] in page.locator(".details").inner_text()
    assert " ms" in page.locator(".details").inner_text()


def test_the_heat_map_is_walked_with_the_arrow_keys(console, service, pair) -> None:
    console.go(of_pair(*pair))
    page, readout = console.page, console.page.locator(".readout")
    told = console.page.request.post(
        f"{console.base}/console/api/pair",
        data=json.dumps({"query": pair[0], "item_id": pair[1]}),
        headers={"content-type": "application/json"},
    ).json()

    page.locator(".heat td[tabindex='0']").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowLeft")

    cosine = f"{abs(told['cosines'][0][1]):.2f}"
    assert cosine in readout.inner_text()
    assert told["item_tokens"][1]["token"] in readout.inner_text()
    page.keyboard.press("End")
    assert told["item_tokens"][-1]["token"] in readout.inner_text()


def test_a_ranking_is_searched_compared_filtered_and_opened(console, service, pair) -> None:
    query, _ = pair
    page = console.page
    console.go("#/query")

    page.get_by_label("Query").fill(query)
    page.get_by_label("Best").select_option("10")
    page.get_by_role("button", name="Rank items").click()
    expect(page.locator(".ranks tbody tr").last).not_to_contain_text("…")

    found = service.post("/search", {"query": query, "top_k": 10}).json()["results"]
    ids = page.locator(".ranks a.id").all_inner_texts()
    assert [one for one in ids if one in {row["id"] for row in found}] == [
        row["id"] for row in found
    ]
    assert f"{found[0]['score']:.3f}" in page.locator(".ranks tbody tr").first.inner_text()
    assert page.locator(".moved").count() == len(ids)
    choices = page.locator("#filter optgroup option").all()
    assert choices
    aspect = choices[0].inner_text()
    page.get_by_label("Show").select_option(label=aspect)
    chips = [row.inner_text() for row in page.locator(".ranks tbody tr").all()]
    assert 0 < len(chips) < len(ids) or all(aspect in text for text in chips)
    assert all(aspect in text for text in chips)
    first = page.locator(".ranks a.id").first
    item_id = first.inner_text()
    first.click()
    expect(page.locator(".findings")).to_be_visible()
    assert f"id={item_id}" in page.url


def test_a_list_of_ids_and_titles_is_ranked(console, service, pair) -> None:
    page = console.page
    console.go("#/query")

    page.get_by_label("Query").fill(pair[0])
    page.get_by_text("Rank these").click()
    page.get_by_label("Item ids or titles").fill(f"{pair[1]}\nSteel bottle, red\n")
    page.get_by_role("button", name="Rank items").click()
    expect(page.locator(".ranks tbody tr")).to_have_count(2)

    told = service.post("/score", {"query": pair[0], "item_ids": [pair[1]]}).json()["results"][0]
    row = page.locator(".ranks tbody tr", has_text=pair[1])
    assert f"{told['score']:.3f}" in row.inner_text()


def test_the_exported_sheet_has_every_bit_and_no_formula(console, service, tmp_path) -> None:
    console.go(f"#/query?q=water+bottle&ids={HOSTILE_ID},line+two")
    expect(console.page.locator(".ranks tbody tr")).to_have_count(2)

    with console.page.expect_download() as download:
        console.page.get_by_role("button", name="Export CSV").click()
    download.value.save_as(tmp_path / "ranking.csv")

    with (tmp_path / "ranking.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = {row["item_id"]: row for row in csv.DictReader(file)}
    body = {"query": "water bottle", "item_ids": [HOSTILE_ID]}
    told = service.post("/score", body).json()["results"][0]
    assert float(rows[HOSTILE_ID]["score"]) == told["score"]
    assert rows[HOSTILE_ID]["title"].startswith("'=cmd")
    assert rows[HOSTILE_ID]["label"] == told["label"]
    assert rows[HOSTILE_ID]["second_bundle"] != rows[HOSTILE_ID]["bundle"]


def test_an_audit_is_opened_and_leads_to_its_pairs(console, shop) -> None:
    audit = json.loads(shop.audit.read_text())
    page = console.page
    console.go("#/errors")

    page.set_input_files("#audit", shop.audit)

    suspected = page.locator("section.card", has_text="Suspected label errors")
    shown = min(20, len(audit["label_errors"]["pairs"]))
    expect(suspected.locator("tbody > tr:has(> td.pair)")).to_have_count(shown)
    first = audit["pairs"][audit["label_errors"]["pairs"][0]]
    assert first["query"] in suspected.inner_text()
    kinds = page.get_by_label("Kind").locator("option")
    assert kinds.count() == len(audit["samples"])
    suspected.locator("a.id").first.click()
    expect(page.locator(".judges")).to_be_visible()
    page.go_back()
    expect(page.locator(".counts")).to_be_visible()  # the report is still open
