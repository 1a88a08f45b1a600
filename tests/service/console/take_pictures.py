"""`make console-picture`: the README's picture of the console, and how long its pages take.

Serves a demo's store, opens it in Chromium, and writes the picture and `timings.json`. Times are
medians of fresh browser contexts (nothing cached) on this machine: the first view is the browser's
first contentful paint, which comes after the page has asked what is served; the heat map is built,
laid out and measured in the page.
"""

import json
import statistics
import tempfile
from pathlib import Path

import typer
from playwright.sync_api import Browser

from tests.service.console.browser import SIZES, chromium
from tests.service.live_service import LiveService, live_service

PAIR = "#/pair?q=rose+gold+travel+cups&id=S000564"
FIRST_PAINT = "performance.getEntriesByName('first-contentful-paint')[0].startTime"
HEAT = """async ([rows, columns]) => {
  const { heatmap } = await import(new URL("static/heatmap.js", document.baseURI));
  const tokens = (count) => Array.from({ length: count }, (_, at) => ({ token: `token${at}` }));
  const cosines = tokens(rows).map((_, i) => tokens(columns).map((_, j) => ((i * j) % 97) / 96));
  const pair = { contributions: tokens(rows), item_tokens: tokens(columns), cosines,
    best: cosines.map((row) => row.indexOf(Math.max(...row))) };
  const started = performance.now();
  const drawn = heatmap(pair);
  document.getElementById("view").append(drawn);
  drawn.getBoundingClientRect();
  return performance.now() - started;
}"""


def main(
    store: Path = typer.Option(Path("build/demo/latest/store")),
    teacher: Path = typer.Option(Path("build/demo/latest/teacher")),
    picture: Path = typer.Option(Path("docs/images/console.png")),
    timings: Path = typer.Option(Path("build/console/timings.json")),
    pair: str = typer.Option(PAIR, help="Address of a pair after /console/."),
    repeats: int = typer.Option(20, min=1),
) -> None:
    """Take the picture and the times."""
    with (
        tempfile.TemporaryDirectory() as folder,
        live_service(store, Path(folder) / "log", workers=1, teacher=str(teacher)) as service,
        chromium() as browser,
    ):
        take(browser, service, pair, picture)
        measured = {
            "repeats": repeats,
            "first_view_ms": median(browser, service, "#/pair", repeats, first_paint),
            "pair_shown_ms": median(browser, service, pair, repeats, pair_shown),
            "heat_map_16x64_ms": median(browser, service, "#/pair", repeats, heat_map),
        }
    timings.parent.mkdir(parents=True, exist_ok=True)
    timings.write_text(json.dumps(measured, indent=2) + "\n")
    for name, value in measured.items():
        typer.echo(f"{name:<20} {value:8.1f}")
    typer.echo(f"{picture}, {timings}")


def take(browser: Browser, service: LiveService, pair: str, picture: Path) -> None:
    """The upper part of the pair view, as a wide window shows it."""
    width, _ = SIZES["wide"]
    page = browser.new_page(viewport={"width": width, "height": 1160}, color_scheme="light")
    page.goto(address(service, pair))
    page.locator(".findings").wait_for()
    page.wait_for_load_state("networkidle")
    picture.parent.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=picture)
    page.close()


def median(browser: Browser, service: LiveService, view: str, repeats: int, measure) -> float:
    """Of as many fresh contexts; the first is left out, for it warms the browser itself."""
    taken = []
    for _ in range(repeats + 1):
        context = browser.new_context()
        page = context.new_page()
        page.goto(address(service, view))
        taken.append(float(measure(page)))
        context.close()
    return round(statistics.median(taken[1:]), 1)


def first_paint(page) -> float:
    """Milliseconds from navigation to the first text on the page."""
    page.locator("form.asking").wait_for()
    page.wait_for_load_state("networkidle")
    return page.evaluate(FIRST_PAINT)


def pair_shown(page) -> float:
    """Milliseconds from navigation until score, contributions and heat map of a pair stand."""
    page.locator(".heat").wait_for()
    return page.evaluate("performance.now()")


def heat_map(page) -> float:
    """Milliseconds to build and lay out the heat map of the longest pair there is."""
    page.locator("form.asking").wait_for()
    return page.evaluate(HEAT, [16, 64])


def address(service: LiveService, view: str) -> str:
    """A view's address."""
    return f"http://127.0.0.1:{service.port}/console/{view}"


if __name__ == "__main__":
    typer.run(main)
