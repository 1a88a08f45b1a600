"""Line plots as SVG files: the same input gives the same bytes.

Drawn with matplotlib's object-oriented interface and no global state. What is drawn, and what a
bend means, is the caller's; `Note` writes it where it happens.
"""

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from relevance.atomic import write_text
from relevance.errors import BadInput
from relevance.plot_style import MUTED, PAPER, SERIES, svg_style

if TYPE_CHECKING:  # matplotlib takes a second to import
    from matplotlib.figure import Figure
    from matplotlib.ticker import Formatter

MARKERS = ("o", "s", "^", "D", "v")
DASHES = ("-", "--", "-.", ":", "-")
STYLE = svg_style("performance", font_size=10)


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a plot; points without a finite value are left out."""

    label: str
    x: Sequence[float]
    y: Sequence[float]


@dataclass(frozen=True, slots=True)
class Note:
    """A few words beside a point."""

    x: float
    y: float
    text: str


@dataclass(frozen=True, slots=True)
class Plot:
    """A plot; `level` and `mark` draw a line across it, at a height or a place, with its name."""

    title: str
    x_label: str
    y_label: str
    lines: Sequence[Line]
    notes: Sequence[Note] = ()
    level: tuple[float, str] | None = None
    mark: tuple[float, str] | None = None
    log_x: bool = True
    log_y: bool = True
    markers: bool = True


def write_plot(path: Path, plot: Plot) -> None:
    """Draw a plot as SVG, crash-safe; raises `BadInput` where there is nothing to draw."""
    write_text(path, svg(plot))


def svg(plot: Plot) -> str:
    """The plot as an SVG document."""
    from matplotlib import rc_context

    page = io.StringIO()
    with rc_context(STYLE):  # type: ignore[arg-type, unused-ignore]
        drawn(plot).savefig(page, format="svg", metadata={"Date": None})
    return page.getvalue()


def drawn(plot: Plot) -> "Figure":
    """The plot as a matplotlib figure, in the style that holds where this is called."""
    from matplotlib.figure import Figure

    lines = [line for line in map(_finite, plot.lines) if line.x]
    if not lines:
        raise BadInput(f"{plot.title}: expected at least one measured point")
    figure = Figure(figsize=(7.2, 4.2), layout="constrained")
    axes = figure.add_subplot()
    axes.set(title=plot.title, xlabel=plot.x_label, ylabel=plot.y_label)
    axes.set_xscale("log" if plot.log_x else "linear")
    axes.set_yscale("log" if plot.log_y else "linear")
    for at, line in enumerate(lines):
        axes.plot(
            line.x,
            line.y,
            label=line.label,
            color=SERIES[at % 5],
            marker=MARKERS[at % 5] if plot.markers else "",
            linestyle=DASHES[at % 5],
            markersize=4.5,
            linewidth=1.6,
        )
    _annotate(axes, plot)
    for axis, is_log in ((axes.xaxis, plot.log_x), (axes.yaxis, plot.log_y)):
        axis.set_major_formatter(_plain)
        if is_log:
            axis.set_minor_formatter(_plain_between())
    axes.legend(loc="best", fontsize=9)
    return figure


def _annotate(axes: Any, plot: Plot) -> None:
    look = {"textcoords": "offset points", "color": MUTED, "fontsize": 9}
    dashes = {"color": MUTED, "linewidth": 1, "linestyle": (0, (4, 3))}
    if plot.level is not None:
        height, name = plot.level
        axes.axhline(height, **dashes)
        place = ("axes fraction", "data")
        axes.annotate(name, (0.01, height), xycoords=place, xytext=(0, 3), **look)
    if plot.mark is not None:
        at, name = plot.mark
        axes.axvline(at, **dashes)
        place = ("data", "axes fraction")
        axes.annotate(name, (at, 0.02), xycoords=place, xytext=(4, 0), **look)
    if plot.notes:
        axes.margins(y=0.15)  # room below the lines
        axes.autoscale_view()
    for note in plot.notes:
        across, _ = axes.transAxes.inverted().transform(axes.transData.transform((note.x, note.y)))
        axes.annotate(
            note.text,
            (note.x, note.y),
            xytext=(10, -24) if across < 0.5 else (-10, 18),  # away from the nearer edge
            horizontalalignment="left" if across < 0.5 else "right",
            arrowprops={"arrowstyle": "-", "color": MUTED},
            bbox={"facecolor": PAPER, "edgecolor": "none", "alpha": 0.85, "pad": 1},
            **look,
        )


def _finite(line: Line) -> Line:
    pairs = [(x, y) for x, y in zip(line.x, line.y, strict=True) if math.isfinite(y)]
    return Line(line.label, [x for x, _ in pairs], [y for _, y in pairs])


def _plain_between() -> "Formatter":
    """Plain numbers where matplotlib would write 6 × 10¹, and nowhere else."""
    from matplotlib.ticker import LogFormatter

    class Plain(LogFormatter):
        def __call__(self, value: float, at: int | None = None) -> str:
            return _plain(value, at) if super().__call__(value, at) else ""

    return Plain(minor_thresholds=(2, 0.6))


def _plain(value: float, _: object) -> str:
    """1,000 and 0.05 rather than powers of ten."""
    return f"{value:,.0f}" if abs(value) >= 1 else f"{value:g}"
