"""`ellm bench swaps`: hot swaps under load, counted and timed."""

from pathlib import Path

import typer


def swaps_command(
    store: Path = typer.Option(..., help="Store with two generations at least; CURRENT is moved."),
    data: Path = typer.Option(..., help="Data set whose queries and items are asked for."),
    per_second: float = typer.Option(200.0, help="Requests a second."),
    candidates: int = typer.Option(100, help="Items in each request."),
    swap: int = typer.Option(20, help="Swaps."),
    workers: int = typer.Option(2, help="Server processes."),
    cold: bool = typer.Option(False, help="Drop a generation from the page cache before its swap."),
    port: int = typer.Option(8090, help="Port for the service."),
    out: Path = typer.Option(Path("build/bench"), help="Folder of the JSON."),
) -> None:
    """Swap generations under load and count failed and wrong replies."""
    import json
    from dataclasses import asdict

    from loadtest.swap_drill import BODIES, Plan, run
    from loadtest.traffic import read_traffic
    from relevance.atomic import write_text
    from relevance.generation import StorePaths

    calls = read_traffic(data).calls(candidates=candidates, seed=0)
    bodies = [json.dumps(asdict(next(calls))).encode() for _ in range(BODIES)]
    plan = Plan(per_second, candidates, swap, workers, cold, port)
    report = run(StorePaths(store), bodies, plan)
    name = "swaps_cold.json" if cold else "swaps.json"
    write_text(out / name, json.dumps(asdict(report), indent=2) + "\n")
    for field, value in asdict(report).items():
        shown = f"{value:,.2f}" if isinstance(value, float) else str(value)
        typer.echo(f"{field:<16} {shown}")
