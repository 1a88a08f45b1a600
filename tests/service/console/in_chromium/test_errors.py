"""What is hostile, wrong, missing or gone is told in words and runs nothing."""

import json

import pytest
from playwright.sync_api import expect

from service.api_keys import Scope, make_key, write_keys
from tests.service.console.browser import watched
from tests.service.console.in_chromium.addresses import base_of, of_pair
from tests.service.console.make_shop_service import HOSTILE, HOSTILE_ID

pytestmark = [pytest.mark.slow, pytest.mark.network]


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


@pytest.mark.parametrize(
    "content", ["no json", '{"format": "relevance-audit/1", "pairs": []}', "[]"]
)
def test_a_file_that_is_no_audit_is_refused_in_words(console, tmp_path, content) -> None:
    (tmp_path / "wrong.json").write_text(content)
    console.go("#/errors")

    console.page.set_input_files("#audit", tmp_path / "wrong.json")

    expect(console.page.get_by_role("alert")).to_contain_text("wrong.json: expected a report")


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
