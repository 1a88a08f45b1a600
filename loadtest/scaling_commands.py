"""`ellm bench scaling`: what grows with what, the floor of the machine, and a profile."""

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:  # importing this module must stay cheap: every `ellm --help` does it
    from loadtest.scaling import Series, World

PARTS = ("points", "floor", "profile")


def scaling_command(
    store: Path = typer.Option(..., help="Folder `ellm refresh` published into."),
    data: Path = typer.Option(..., help="Data set whose queries and items are asked for."),
    only: str = typer.Option("", help="Series by comma; all by default."),
    parts: str = typer.Option(",".join(PARTS), help="Which parts to do, by comma."),
    fresh: bool = typer.Option(False, help="Forget the points that are known."),
    out: Path = typer.Option(Path("build/bench/scaling"), help="Folder of points and plots."),
) -> None:
    """Measure costs as one thing grows; begun again it goes on after the last known point."""
    from loadtest.machine import this_machine
    from loadtest.scaling import ALL, JOURNAL, World
    from loadtest.tables import write_measured
    from loadtest.traffic import read_traffic
    from relevance.generation import StorePaths, read_current

    chosen = _named(only, [series.name for series in ALL])
    doing = _named(parts, list(PARTS))
    if fresh:
        (out / JOURNAL).unlink(missing_ok=True)
    paths = StorePaths(store)
    bundle = paths.bundle(read_current(paths).bundle)
    pages = []
    with tempfile.TemporaryDirectory(prefix="ellm-scaling-") as scratch:
        world = World(store, bundle, read_traffic(data), Path(scratch))
        if "points" in doing:
            pages.append(_points(world, [one for one in ALL if one.name in chosen], out))
        if "floor" in doing:
            pages.append(_floor(world))
        if "profile" in doing:
            pages.append(_profile(world, out))
    shown = "\n\n".join(pages)
    command = " ".join(["ellm", *sys.argv[1:]])
    write_measured(out, "scaling", machine=this_machine(), command=command, page=shown)
    typer.echo(shown)


def _points(world: "World", chosen: "Sequence[Series]", out: Path) -> str:
    from loadtest.scaling import JOURNAL, Journal, measure_missing
    from loadtest.scaling_page import page, write_pictures

    journal = Journal(out / JOURNAL)
    measure_missing(world, chosen, journal, say=_say)
    write_pictures(out, journal.points())
    return page(journal.points())


def _named(text: str, known: list[str]) -> list[str]:
    from relevance.errors import BadInput

    names = [name.strip() for name in text.split(",")] if text else known
    if unknown := [name for name in names if name not in known]:
        raise BadInput(f"expected some of {', '.join(known)}; got {', '.join(unknown)}")
    return names


def _floor(world: "World") -> str:
    import numpy as np

    from loadtest.floor import Work, floor_page
    from loadtest.processes import Answering
    from loadtest.scaling import CANDIDATES, ENGINE_ITEMS, QUERY_TOKENS, ROWS
    from relevance.bundle import read_bundle

    dim = read_bundle(world.bundle).dim
    sizes = {"items": ENGINE_ITEMS, "rows": ROWS}
    asked = {**sizes, "candidates": CANDIDATES, "query_tokens": QUERY_TOKENS}
    engine = [sys.executable, "-m", "service.benchmark.engine", str(world.bundle)]
    with Answering(engine) as answering:
        rates = answering.ask({"floor": sizes, "repeats": 50})
        seconds = answering.ask({"score": asked, "repeats": 200})
    work = Work(CANDIDATES, QUERY_TOKENS, ROWS, dim)
    return floor_page(work, rates, float(np.median(seconds)) * 1e3)


def _profile(world: "World", out: Path) -> str:
    from loadtest.own_service import own_service
    from loadtest.profile import profile
    from loadtest.traffic import only_score, requests

    pages = []
    with own_service(world.store, world.scratch) as server:
        for candidates in (100, 1000):
            stream = requests(world.traffic, only_score(candidates), seed=candidates)
            shown = profile(server, stream, seconds=10, folder=out / f"profile-{candidates}")
            pages.append(f"{candidates:,} candidates, every query new: {shown}")
    return "\n\n".join(pages)


def _say(line: str) -> None:
    typer.echo(f"… {line}", err=True)
