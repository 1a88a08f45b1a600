"""Labelling by keyboard."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from relevance.records import read_pairs

pytestmark = [pytest.mark.slow, pytest.mark.network]


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
