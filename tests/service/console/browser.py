"""Debian's Chromium on the console, watched: what a page must never do fails the test."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect, sync_playwright

PICTURES = Path("build/console")
PATIENCE_MS = 180_000  # a shared machine may stand still
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SIZES = {"wide": (1280, 800), "narrow": (390, 844)}
# Boxes whose text is wider than they are, though they neither scroll nor hide it on purpose. (Marks
# at the ends of the scale overhang it by half a mark: it keeps a margin for that.)
CUT = """() => [...document.querySelectorAll('main *')].filter((e) =>
  e.clientWidth && e.scrollWidth > e.clientWidth + 1
  && !e.closest('.spoken, .heat-scroll, .scroll, .scale')
  && !['INPUT', 'TEXTAREA', 'SELECT'].includes(e.tagName)
).map((e) => `${e.tagName}.${e.className}: ${e.textContent.slice(0, 60)}`)"""
OVERFLOW = "document.documentElement.scrollWidth - innerWidth"


@dataclass
class Watched:
    """A page at the console of a service, and what it did that it must not do."""

    page: Page
    base: str
    faults: list[str] = field(default_factory=list)
    allowed: tuple[str, ...] = ()

    def go(self, fragment: str) -> None:
        """Open a view anew and wait until it is quiet."""
        self.page.goto("about:blank")
        self.page.goto(f"{self.base}/console/{fragment}")
        self.settle()

    def settle(self) -> None:
        self.page.wait_for_load_state("networkidle")
        self.page.wait_for_function("!document.querySelector('[aria-busy=true]')")

    def picture(self, name: str) -> None:
        PICTURES.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=PICTURES / f"{name}.png", full_page=True)

    def check_looks(self) -> None:
        """Nothing wider than the window, nothing cut."""
        wider = self.page.evaluate(OVERFLOW)
        expect_none("wider than the window", [f"{wider} px"] if wider > 0 else [])
        expect_none("cut", self.page.evaluate(CUT))

    def check_accessible(self) -> None:
        """axe-core finds nothing: names, roles, order of headings, contrast (WCAG AA)."""
        found = Axe().run(self.page).response["violations"]
        expect_none("axe", [f"{one['id']}: {one['nodes'][0]['html']}" for one in found])

    def expect_nothing_wrong(self) -> None:
        faults = (one for one in self.faults if not any(a in one for a in self.allowed))
        expect_none("faults", list(faults))


def expect_none(what: str, found: list[str]) -> None:
    if found:
        pytest.fail("\n".join([f"{what}:", *found]))


@contextmanager
def chromium() -> Iterator[Browser]:
    path = shutil.which("chromium")
    assert path, "chromium is needed: see deploy/test-packages.txt"
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=QUIET)
        yield browser
        browser.close()


@contextmanager
def watched(
    browser: Browser, base: str, *, size: str = "wide", **options: object
) -> Iterator[Watched]:
    """A page of its own; `options` are Playwright's (colour scheme, locale, headers)."""
    width, height = SIZES[size]
    context = browser.new_context(viewport={"width": width, "height": height}, **options)
    context.add_init_script(
        "addEventListener('securitypolicyviolation', (e) => console.error('CSP', e.blockedURI))"
    )
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    seen = Watched(page, base)
    own = urlsplit(base).netloc
    page.on("pageerror", lambda fault: seen.faults.append(f"exception: {fault}"))
    page.on(
        "console",
        lambda said: said.type == "error" and seen.faults.append(f"console: {said.text}"),
    )
    page.on(
        "request",
        lambda asked: (
            urlsplit(asked.url).scheme in ("http", "https", "ws")
            and urlsplit(asked.url).netloc != own
            and seen.faults.append(f"another host: {asked.url}")
        ),
    )
    page.on("dialog", lambda dialog: (seen.faults.append("dialog"), dialog.dismiss()))
    try:
        yield seen
    finally:
        context.close()
    seen.expect_nothing_wrong()
