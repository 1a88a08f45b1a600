"""Plots come from measured points, whatever picture lies beside them."""

import json
import math

from loadtest.redrawn import redraw
from loadtest.scaling import JOURNAL, Journal, Point


def test_plots_are_drawn_again_from_what_was_measured(tmp_path) -> None:
    journal = Journal(tmp_path / "scaling" / JOURNAL)
    for x in (10.0, 100.0):
        journal.keep(Point("engine: candidates", x, 0.1, 0.2, 0.4, math.nan, 0.5, math.nan))
    samples = [{"at": float(at), "private_mb": 200.0, "open_files": 48} for at in range(3)]
    (tmp_path / "soak.json").write_text(json.dumps({"machine": {}, "samples": samples}))
    plots = [tmp_path / "scaling" / "scaling-candidates.svg", tmp_path / "soak.svg"]
    for plot in plots:
        plot.write_text("an old picture")

    redraw(tmp_path)

    drawn = [plot.read_text() for plot in plots]
    assert all("</svg>" in one for one in drawn)
    assert "open files" in drawn[1]


def test_where_nothing_was_measured_nothing_is_drawn(tmp_path) -> None:
    redraw(tmp_path)

    assert list(tmp_path.iterdir()) == []
