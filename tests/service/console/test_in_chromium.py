"""Every view clicked through in a real browser, against a real service on the sample shop."""

import csv
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from relevance.chain_of_thought import render
from relevance.records import read_pairs
from service.api_keys import Scope, make_key, write_keys
from tests.service.chat_server import PIECE, THOUGHT, Manner, chat_server
from tests.service.console.browser import Watched, chromium, watched
from tests.service.console.make_shop_service import HOSTILE, HOSTILE_ID, Shop, make_shop_files
from tests.service.live_service import LiveService, free_port

pytestmark = [pytest.mark.slow, pytest.mark.network]

VIEWS = ("pair", "query", "labelling", "errors")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as opened:
        yield opened


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    return make_shop_files(tmp_path_factory.mktemp("shop"))


@pytest.fixture(scope="module")
def labels(shop: Shop) -> Path:
    return shop.folder / "labels" / "mine"


@pytest.fixture(scope="module")
def service(shop: Shop, labels: Path) -> Iterator[LiveService]:
    with shop.served(teacher=str(shop.teacher), console_labels=str(labels)) as running:
        yield running


@pytest.fixture
def console(browser: Browser, service: LiveService) -> Iterator[Watched]:
    with watched(browser, base_of(service)) as page:
        yield page


@pytest.fixture(scope="module")
def pair(shop: Shop) -> tuple[str, str]:
    """A labelled pair whose teacher's opinion names aspects on both sides."""
    found = json.loads(shop.audit.read_text())["pairs"]
    one = next(p for p in found if {a["verdict"] for a in p["aspects"]} >= {"match", "mismatch"})
    return one["query"], one["item_id"]


def base_of(service: LiveService) -> str:
    return f"http://127.0.0.1:{service.port}"


def of_pair(query: str, item_id: str) -> str:
    return f"#/pair?q={query}&id={item_id}".replace(" ", "+")


def show(console: Watched, view: str, pair: tuple[str, str], shop: Shop) -> None:
    """Bring a view to where it has most to show."""
    query, item_id = pair
    match view:
        case "pair":
            console.go(of_pair(query, item_id))
            expect(console.page.locator(".findings")).to_be_visible()
        case "query" | "labelling":
            console.go(f"#/query?q={query}&k=10".replace(" ", "+"))
            expect(console.page.locator(".ranks tbody tr").last).not_to_contain_text("…")
            if view == "labelling":
                console.page.locator(".tools button").nth(1).click()
                console.page.keyboard.press("b")
                expect(console.page.locator(".opinion")).to_be_visible()
                console.page.keyboard.press("u")
        case "errors":
            console.go("#/errors")
            console.page.set_input_files("#audit", shop.audit)
            expect(console.page.locator(".counts")).to_be_visible()
    console.settle()


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


@pytest.mark.parametrize("how", ["pasted", "catalogue", "ranking", "audit"])
def test_a_hostile_title_is_only_text(console, shop, tmp_path, how) -> None:
    page = console.page
    if how == "pasted":
        console.go("#/pair")
        page.get_by_label("Query").fill("water bottle")
        page.get_by_text("Pasted title").click()
        page.get_by_role("textbox", name="Title").fill(HOSTILE)
        page.get_by_role("button", name="Explain").click()
    elif how == "catalogue":
        console.go(of_pair("<b>water</b> bottle", HOSTILE_ID))
    elif how == "ranking":
        console.go(f"#/query?q=water+bottle&ids={HOSTILE_ID},<script>owned()</script>")
    else:
        audit = json.loads(shop.audit.read_text())
        for one in audit["pairs"]:
            one["title"] = one["query"] = HOSTILE
        (tmp_path / "audit.json").write_text(json.dumps(audit))
        console.go("#/errors")
        page.set_input_files("#audit", tmp_path / "audit.json")

    expect(page.locator("main")).to_contain_text("<script>")
    console.settle()
    assert page.locator("main script, main img, main b, main iframe").count() == 0
    assert "owned" not in page.title()
    console.picture(f"hostile-{how}")


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


def test_pairs_are_labelled_by_keyboard_and_the_teacher_is_heard_only_after(
    console, pair, labels
) -> None:
    page = console.page
    console.go(f"#/query?q={pair[0]}&k=10".replace(" ", "+"))
    expect(page.locator(".ranks tbody tr").last).not_to_contain_text("…")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url.rpartition("/")[2]))

    page.get_by_role("button", name="Label pairs").click()
    expect(page.locator(".question")).to_be_visible()
    console.settle()
    assert set(asked) == {"labelled"}  # neither scores nor reasons
    before = page.locator(".ranking").inner_text()
    assert "Teacher" not in before
    assert "0." not in before
    first = page.locator(".question .id").inner_text()
    page.keyboard.press("g")
    expect(page.locator(".opinion")).to_contain_text("Teacher")
    second = page.locator(".question .id").inner_text()
    page.keyboard.press("s")
    expect(page.locator(".question .id")).not_to_have_text(second)
    third = page.locator(".question .id").inner_text()
    page.keyboard.press("b")
    expect(page.locator(".told")).to_contain_text(re.compile(r"teacher \d of 2 \("))

    kept = {(p.item_id, p.good) for p in read_pairs(Path(f"{labels}_pairs.jsonl"), labelled=True)}
    assert kept == {(first, True), (third, False)}
    page.keyboard.press("u")
    expect(page.locator(".question .id")).to_have_text(third)
    page.keyboard.press("u")
    page.keyboard.press("u")
    expect(page.locator(".question .id")).to_have_text(first)
    assert not Path(f"{labels}_pairs.jsonl").exists()


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


@pytest.mark.parametrize(
    "content", ["no json", '{"format": "relevance-audit/1", "pairs": []}', "[]"]
)
def test_a_file_that_is_no_audit_is_refused_in_words(console, tmp_path, content) -> None:
    (tmp_path / "wrong.json").write_text(content)
    console.go("#/errors")

    console.page.set_input_files("#audit", tmp_path / "wrong.json")

    expect(console.page.get_by_role("alert")).to_contain_text("wrong.json: expected a report")


@pytest.mark.parametrize(  # every two of size, language and theme come together once
    ("size", "locale", "scheme"),
    [
        ("wide", "en-GB", "light"),
        ("wide", "zh-CN", "dark"),
        ("narrow", "en-GB", "dark"),
        ("narrow", "zh-CN", "light"),
    ],
)
def test_every_view_is_accessible_and_nothing_is_cut(
    browser, service, shop, pair, size, locale, scheme
) -> None:
    options = {"size": size, "locale": locale, "color_scheme": scheme}
    with watched(browser, base_of(service), **options) as console:
        for view in VIEWS:
            show(console, view, pair, shop)
            console.picture(f"{view}-{size}-{locale[:2]}-{scheme}")
            console.check_looks()
            console.check_accessible()


def test_language_and_theme_are_chosen_and_remembered(console, pair) -> None:
    page = console.page
    console.go(of_pair(*pair))

    page.get_by_label("Language").select_option("zh")
    expect(page.get_by_role("link", name="查询")).to_be_visible()
    page.get_by_label("主题").select_option("dark")
    console.go("#/query")

    assert page.locator("html").get_attribute("lang") == "zh-CN"
    expect(page.get_by_role("button", name="排序")).to_be_visible()
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.get_by_label("主题").select_option("light")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != dark


def test_without_a_teacher_the_students_part_is_all_there(browser, shop, pair) -> None:
    with shop.served() as service, watched(browser, base_of(service)) as console:
        console.go(of_pair(*pair))

        page = console.page
        expect(page.locator("main")).to_contain_text("There is no teacher.")
        assert page.locator(".contributions tbody tr").count() > 0
        assert page.locator(".heat td.path").count() > 0
        assert page.locator(".judge").count() == 1
        console.picture("teacher-down")
        console.go(f"#/query?q={pair[0]}".replace(" ", "+"))
        expect(page.locator("main")).to_contain_text("There is no teacher")


def test_what_a_language_model_writes_is_shown_while_it_is_written(browser, shop, pair) -> None:
    with (
        chat_server() as model,
        shop.served(llm_endpoint=model.url, llm_model="qwen", llm_timeout="180") as service,
        watched(browser, base_of(service)) as console,
    ):
        model.manner = Manner.DRIPPING
        page = console.page
        page.goto(f"{console.base}/console/{of_pair(*pair)}")

        expect(page.locator(".thought")).to_have_text(render(THOUGHT)[:PIECE])
        expect(page.locator(".contributions tbody tr").first).to_be_visible()
        model.let_go.set()
        expect(page.locator(".findings tbody tr")).to_have_count(len(THOUGHT.findings))
        assert page.locator(".thought").text_content() == render(THOUGHT)
        expect(page.locator("main")).to_contain_text("The LLM answered.")

        asked = len(model.bodies)
        console.go(f"#/query?q={pair[0]}&k=10".replace(" ", "+"))
        assert len(model.bodies) == asked  # a model costs: rows are judged when told to
        page.get_by_role("button", name="Ask the teacher").click()
        expect(page.locator(".ranks tbody tr").last).not_to_contain_text("…")


def test_a_language_model_that_is_down_leaves_the_catalogue_teacher(browser, shop, pair) -> None:
    nobody = f"http://127.0.0.1:{free_port()}/v1"
    with (
        shop.served(teacher=str(shop.teacher), llm_endpoint=nobody, llm_model="qwen") as service,
        watched(browser, base_of(service)) as console,
    ):
        console.go(of_pair(*pair))

        main = console.page.locator("main")
        expect(main).to_contain_text("The LLM is not there. The catalogue teacher answered.")
        assert console.page.locator(".findings tbody tr").count() > 0
        assert console.page.locator(".judge").count() == 2
        console.picture("language-model-down")


def test_a_key_is_asked_for_where_one_is_needed(browser, shop, tmp_path) -> None:
    key = make_key("engineer", [Scope.CONSOLE])
    write_keys(tmp_path / "keys.toml", [key.kept])
    passed_on = {"x-forwarded-for": "10.1.2.3"}  # as a proxy does: the browser is not local
    with (
        shop.served(api_keys=str(tmp_path / "keys.toml")) as service,
        watched(browser, base_of(service), extra_http_headers=passed_on) as console,
    ):
        console.allowed = ("401", "403")
        console.go("#/query")
        page = console.page

        page.get_by_label("API key").fill("wrong")
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("dialog")).to_contain_text("not known")
        console.picture("sign-in")
        page.get_by_label("API key").fill(key.secret)
        page.get_by_role("button", name="Sign in").click()

        expect(page.get_by_role("button", name="Rank items")).to_be_visible()
        page.get_by_role("button", name="Forget the key").click()
        expect(page.get_by_role("dialog")).to_be_visible()


def test_a_service_that_went_away_is_told_and_waited_for(browser, shop, pair) -> None:
    with shop.served() as service, watched(browser, base_of(service)) as console:
        console.go("#/pair")
        console.allowed = ("ERR_CONNECTION_REFUSED",)
        service.process.kill()
        service.process.wait()

        console.page.get_by_label("Query").fill(pair[0])
        console.page.get_by_role("combobox", name="Item", exact=True).fill(pair[1])
        console.page.get_by_role("button", name="Explain").click()

        expect(console.page.get_by_role("alert")).to_have_text(
            "The service does not answer. Is it running?"
        )
