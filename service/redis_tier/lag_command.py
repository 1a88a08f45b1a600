"""`ellm bench lag`: how long a shop's change takes until `POST /score` answers with it."""

from pathlib import Path

import typer


def lag_command(
    store: Path = typer.Option(..., "--store", help="A store; a copy of it is changed."),
    changes: int = typer.Option(200, min=1, help="Changes told, one after the other."),
    rate: float = typer.Option(20.0, min=0.1, help="Changes told in a second."),
    workers: int = typer.Option(1, min=1, help="The service's; with several any may answer."),
    watch_interval: float = typer.Option(
        0.25, min=0.01, max=1, help="The service's seconds between two looks; its default."
    ),
    out: Path = typer.Option(Path("build/bench"), help="Folder of the JSON and the table."),
) -> None:
    """Measure the way of a change: redis-server, `ellm refresh --watch`, service, `/score`."""
    import json
    from dataclasses import asdict

    from service.redis_tier.bench_scoreable import measure_scoreable

    found = measure_scoreable(
        store, changes=changes, rate=rate, workers=workers, watch_interval_s=watch_interval
    )
    table = (
        f"{found.changes:,} changes at {found.rate:g} a second, {found.workers} worker, a look at "
        f"the store every {found.watch_interval_s:g} s, a question {found.look_ms:.1f} ms\n\n"
        "| a change, seconds | p50 | p99 | most |\n| --- | ---: | ---: | ---: |\n"
        f"| told → scored | {found.p50:.3f} | {found.p99:.3f} | {found.most:.3f} |\n"
    )
    out.mkdir(parents=True, exist_ok=True)
    (out / "lag.json").write_text(json.dumps(asdict(found), indent=1) + "\n")
    (out / "lag.txt").write_text(table)
    typer.echo(table, nl=False)
