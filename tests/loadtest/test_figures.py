from xml.etree import ElementTree

import pytest

from loadtest.figures import Line, Note, Plot, svg
from relevance.errors import BadInput

TEXT = "{http://www.w3.org/2000/svg}text"
PLOT = Plot(
    "Throughput & latency",
    "requests/s",
    "ms",
    [Line("p50", [1, 10, 100], [1.0, 2.0, 4.0]), Line("p99", [1, 10], [2.0, float("nan")])],
    notes=[Note(10, 2.0, "bends <here>")],
    level=(3.0, "SLO"),
)


def test_a_plot_is_an_svg_with_its_words_as_text_and_the_same_bytes_each_time() -> None:
    page = svg(PLOT)

    assert page == svg(PLOT)
    assert ElementTree.fromstring(page).tag.endswith("svg")
    for words in ("Throughput &amp; latency", "requests/s", "bends &lt;here&gt;", "SLO", "p99"):
        assert words in page


def test_a_plot_of_nothing_measured_is_refused() -> None:
    with pytest.raises(BadInput, match="at least one measured point"):
        svg(Plot("Empty", "x", "y", [Line("p50", [1.0], [float("nan")])]))


def test_logarithmic_axes_are_marked_with_plain_numbers() -> None:
    """Neither axis writes powers of ten, however short its range is."""
    lines = [Line("p50", [1, 2, 3, 4], [17.0, 21.0, 28.0, 39.0])]

    page = svg(Plot("Workers", "processes", "ms", lines))

    ticks = {"".join(text.itertext()).strip() for text in ElementTree.fromstring(page).iter(TEXT)}
    assert {"1", "2", "3", "4", "20", "30"} <= ticks
    assert not any("×" in tick for tick in ticks)
