"""Every view in both languages, themes and sizes: accessible, and nothing cut."""

import pytest
from playwright.sync_api import expect

from tests.service.console.browser import Watched, watched
from tests.service.console.in_chromium.addresses import base_of, of_pair
from tests.service.console.make_shop_service import Shop

pytestmark = [pytest.mark.slow, pytest.mark.network]

VIEWS = ("pair", "query", "labelling", "errors")


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
