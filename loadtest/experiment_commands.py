"""`ellm bench experiments`: what two loaded variants and a pair log add to the median."""

from pathlib import Path

import typer


def experiments_command(
    store: Path = typer.Option(..., help="Folder `ellm refresh` published into."),
    data: Path = typer.Option(..., help="Data set whose queries and items are asked for."),
    candidate: Path | None = typer.Option(None, help="The other variant's store; the same one."),
    rounds: int = typer.Option(20, min=2, help="Rounds; each gives one ratio."),
    requests: int = typer.Option(60, min=4, help="Requests to each service in a round."),
    log_rate: float = typer.Option(0.01, min=0.0001, max=1, help="Share of requests logged."),
    out: Path = typer.Option(Path("build/bench"), help="Folder of the JSON and the table."),
) -> None:
    """Measure `/score` with two variants and a pair log against a plain service, side by side."""
    import json
    import tempfile
    from contextlib import ExitStack
    from dataclasses import asdict

    from loadtest.experiment_bench import measure, table
    from loadtest.experiment_servers import keys_of, standing
    from loadtest.machine import this_machine
    from loadtest.service_bench import Calls
    from loadtest.traffic import read_traffic
    from relevance.atomic import write_text

    machine, traffic = this_machine(), read_traffic(data)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        servers = standing(stack, folder, store, candidate or store, log_rate=log_rate)
        found = measure(servers, Calls(traffic), keys_of(folder), rounds=rounds, requests=requests)
    shown = f"{machine}\n{table(found)}"
    measured = {
        "machine": asdict(machine),
        "rounds": rounds,
        "requests": requests,
        "log_rate": log_rate,
        "waited": [asdict(one) for one in found],
    }
    write_text(out / "experiments.json", json.dumps(measured, indent=1) + "\n")
    write_text(out / "experiments.txt", shown + "\n")
    typer.echo(shown)
