"""`ellm bench soak`: steady load for a long time, and a gate on what grew."""

import tempfile
from pathlib import Path

import typer

MEASURED = Path("build/bench/capacity.json")


def soak_command(
    store: Path = typer.Option(..., help="Folder `ellm refresh` published into; a copy is used."),
    data: Path = typer.Option(..., help="Data set whose queries and items are asked for."),
    seconds: float = typer.Option(1800.0, min=10, help="How long."),
    share: float = typer.Option(0.6, min=0.05, max=1, help="Share of the measured capacity."),
    capacity: Path = typer.Option(MEASURED, help="What `ellm bench capacity` wrote."),
    per_second: float = typer.Option(0.0, min=0, help="Requests a second, in place of a share."),
    candidates: int = typer.Option(1000, min=1, help="Items in each request."),
    refresh_every: float = typer.Option(60.0, min=0.1, help="Seconds between two refreshes."),
    swap_every: float = typer.Option(150.0, min=0.1, help="Seconds between two hot swaps."),
    workers: int = typer.Option(1, min=1, help="Server processes."),
    p99_ratio: float = typer.Option(1.2, help="Most that p99 may grow, last over first window."),
    growth_mb: float = typer.Option(60.0, help="Most that memory may grow, MB an hour."),
    files: int = typer.Option(8, help="Most open files there may be more, last over first part."),
    port: int = typer.Option(0, help="Port for the service; 0: a free one."),
    out: Path = typer.Option(Path("build/bench"), help="Folder of JSON, table and plot."),
) -> None:
    """Keep a service under load with refreshes and swaps; memory, files and p99 may not grow."""
    from loadtest.changes import Store
    from loadtest.own_service import copied_store, own_service
    from loadtest.soak import Bounds, Pace, run_soak
    from loadtest.soak_page import write_soak
    from loadtest.traffic import only_score, read_traffic, requests
    from relevance.errors import GateRefused
    from relevance.records import find_data_set, read_catalogue

    rate = per_second or share * _capacity(capacity, candidates)
    stream = requests(read_traffic(data), only_score(candidates), seed=0)
    pace = Pace(rate, seconds, refresh_every, swap_every)
    bounds = Bounds(p99_ratio=p99_ratio, growth_mb=growth_mb, files=files)
    with tempfile.TemporaryDirectory(prefix="ellm-soak-") as name:
        scratch = Path(name)
        items = read_catalogue(find_data_set(data).items)
        changed = Store(copied_store(store, scratch / "store"), items, scratch)
        settings = {"workers": str(workers)}
        with own_service(changed.root, scratch, port=port, settings=settings) as server:
            soak, samples = run_soak(server, changed, stream, pace)
    faults = soak.faults(bounds)
    typer.echo(write_soak(out, soak, samples, rate=rate, faults=faults))
    if faults:
        raise GateRefused("the soak did not hold its bounds\n" + "\n".join(faults))


def _capacity(path: Path, candidates: int) -> float:
    from loadtest.tables import read_measured
    from relevance.errors import BadInput

    told = read_measured(path)
    best, asked = told.get("best"), told.get("asked", {}).get("candidates")
    if not best or asked != str(candidates):
        raise BadInput(
            f"{path}: expected a capacity at {candidates} candidates, got one at {asked}: {best}\n"
            "hint: run `ellm bench capacity`, or give --per-second"
        )
    return float(best["per_second"])
