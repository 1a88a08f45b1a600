"""Plots and tables of scaling points: each line's slope, and where it bends.

On axes that both are logarithmic a slope of 1 means that twice as much costs twice as much, a slope
of 0 that it costs nothing. A bend is where the slope changes most. Why it bends is for the reader
of `docs/performance.md`; here only measured numbers stand.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from loadtest.figures import Line, Note, Plot, write_plot
from loadtest.scaling import Point
from loadtest.tables import table

LEAST_BEND = 0.3  # of slope: less is the noise of a busy machine


@dataclass(frozen=True, slots=True)
class Picture:
    """One plot: which series it holds, and what its axes say."""

    file: str
    title: str
    series: Sequence[str]
    x_label: str


PICTURES = (
    Picture(
        "scaling-candidates",
        "A request by its candidates",
        ("engine: candidates", "HTTP: candidates"),
        "candidates",
    ),
    Picture(
        "scaling-catalogue",
        "1,000 random candidates by the catalogue they lie in",
        ("engine: catalogue",),
        "items in the arena (4 KB each)",
    ),
    Picture(
        "scaling-tokens",
        "By length: encoding a text, scoring 1,000 items",
        ("encoder: tokens", "engine: query tokens", "engine: item tokens"),
        "tokens",
    ),
    Picture(
        "scaling-concurrency",
        "100 candidates, one worker, by connections at once",
        ("concurrency",),
        "connections",
    ),
    Picture(
        "scaling-workers",
        "100 candidates, 16 connections, by worker processes",
        ("workers",),
        "workers",
    ),
)


@dataclass(frozen=True, slots=True)
class Bend:
    """Where a line's slope changes most, and from what to what."""

    x: float
    y: float
    before: float
    after: float

    def __str__(self) -> str:
        return f"slope {self.before:.1f} → {self.after:.1f}"


def bend_of(points: Sequence[Point]) -> Bend | None:
    """The sharpest bend: the place at which the mean slopes of both sides differ most."""
    if len(points) < 3:
        return None
    ends = [(at, _slope(points[: at + 1]), _slope(points[at:])) for at in range(1, len(points) - 1)]
    at, before, after = max(ends, key=lambda end: abs(end[2] - end[1]))
    if abs(after - before) < LEAST_BEND:
        return None
    return Bend(points[at].x, points[at].p50, before, after)


def write_pictures(folder: Path, points: Sequence[Point]) -> list[Path]:
    """Every plot that has a point."""
    written = []
    for picture in PICTURES:
        chosen = {name: _of(points, name) for name in picture.series}
        if any(chosen.values()):
            path = folder / f"{picture.file}.svg"
            write_plot(path, _plot(picture, chosen))
            written.append(path)
    return written


def page(points: Sequence[Point]) -> str:
    """All points, then each line's slope and bend."""
    lines = [
        (
            one.series,
            f"{one.x:,.0f}",
            f"{one.p10:.3f}",
            f"{one.p50:.3f}",
            f"{one.p99:.3f}",
            _shown(one.per_second, ",.0f"),
            _shown(one.server_cpu, ".0%"),
            f"{one.machine_cpu:.0%}",
        )
        for one in points
    ]
    names = list(dict.fromkeys(one.series for one in points))
    slope_lines = []
    for name in names:
        some = _of(points, name)
        if len(some) > 1:
            bend = bend_of(some)
            place = "" if bend is None else f"at {bend.x:,.0f}: {bend}"
            slope_lines.append((name, f"{_slope(some):.2f}", place))
    header = ("series", "x", "p10 ms", "p50 ms", "p99 ms", "a second", "server CPU", "all CPUs")
    return "\n\n".join([table(header, lines), table(("series", "slope", "bend"), slope_lines)])


def _plot(picture: Picture, chosen: dict[str, list[Point]]) -> Plot:
    lines, notes = [], []
    for name, points in chosen.items():
        if not points:
            continue
        xs = [point.x for point in points]
        lines.append(Line(f"{name}, p50", xs, [point.p50 for point in points]))
        if len(chosen) == 1:
            lines.append(Line(f"{name}, p99", xs, [point.p99 for point in points]))
        bend = bend_of(points)
        if bend is not None:
            about = f"{name}: {bend}" if len(chosen) > 1 else f"{bend}"
            notes.append(Note(bend.x, bend.y, about))
    return Plot(picture.title, picture.x_label, "milliseconds", lines, notes)


def _of(points: Sequence[Point], name: str) -> list[Point]:
    return sorted((point for point in points if point.series == name), key=lambda one: one.x)


def _slope(points: Sequence[Point]) -> float:
    """From the first to the last."""
    first, last = points[0], points[-1]
    return math.log(last.p50 / first.p50) / math.log(last.x / first.x)


def _shown(value: float, form: str) -> str:
    return "–" if math.isnan(value) else format(value, form)
