"""What a soak leaves behind: JSON with every sample, a table, and the plot of memory and files."""

import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from loadtest.figures import Line, Plot, write_plot
from loadtest.machine import this_machine
from loadtest.soak import Sample, Soak
from loadtest.tables import read_measured, table, write_measured

NAME = "soak"


def write_soak(out: Path, soak: Soak, samples: Sequence[Sample], **told: object) -> str:
    """Write soak.json, soak.md and soak.svg into a folder; the table."""
    figures = asdict(soak) | {"p99_ratio": soak.p99_ratio}
    page = table(("what", "value"), [(name, f"{value:,.2f}") for name, value in figures.items()])
    write_measured(
        out,
        NAME,
        machine=this_machine(),
        command=" ".join(["ellm", *sys.argv[1:]]),
        page=page,
        **figures,
        **told,
        samples=[asdict(one) for one in samples],
    )
    draw_soak(out, samples)
    return page


def read_samples(folder: Path) -> list[Sample]:
    """The samples of a soak that was measured."""
    return [Sample(**one) for one in read_measured(folder / f"{NAME}.json")["samples"]]


def draw_soak(folder: Path, samples: Sequence[Sample]) -> None:
    """Write soak.svg."""
    minutes = [one.at / 60 for one in samples]
    plot = Plot(
        title="Memory and open files over the soak",
        x_label="minutes",
        y_label="MB; descriptors",
        lines=[
            Line("private memory, MB", minutes, [one.private_mb for one in samples]),
            Line("open files", minutes, [float(one.open_files) for one in samples]),
        ],
        log_x=False,
        log_y=False,
        markers=False,
    )
    write_plot(folder / f"{NAME}.svg", plot)
