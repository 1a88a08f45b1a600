"""`ellm bench experiments`: what two loaded variants and a pair log add to the median."""

from pathlib import Path

import typer


def experiments_command(
    store: Path = typer.Option(..., help="Folder `ellm refresh` published into."),
    data: Path = typer.Option(
        ..., help="Prefix of the data set whose queries and items are asked for."
    ),
    treatment: Path | None = typer.Option(
        None, help="Also a treatment of another bundle: a store published with it."
    ),
    rounds: int = typer.Option(20, min=2, help="Rounds; each gives one ratio."),
    requests: int = typer.Option(60, min=4, help="Requests to each service in a round."),
    in_a_row: int = typer.Option(20, min=1, help="So many of them one after the other."),
    uncounted: int = typer.Option(6, min=0, help="Requests before each row that do not count."),
    treatment_every: int = typer.Option(
        2, min=2, help="One request in so many goes to the treatment."
    ),
    log_rate: float = typer.Option(0.01, min=0.0001, max=1, help="Share of requests logged."),
    out: Path = typer.Option(Path("build/bench"), help="Folder of the JSON and the table."),
) -> None:
    """Measure `/score` with two variants and a pair log against a plain service, side by side."""
    import json
    import tempfile
    from contextlib import ExitStack
    from dataclasses import asdict

    from loadtest.experiment_bench import Rows, measure, table
    from loadtest.experiment_servers import PLAN, keys_of, standing
    from loadtest.machine import this_machine
    from loadtest.service_bench import Calls
    from loadtest.traffic import read_traffic
    from relevance.atomic import write_text

    machine, traffic = this_machine(), read_traffic(data)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        servers = standing(stack, folder, store, treatment, log_rate=log_rate)
        keys = keys_of(folder / "one" / PLAN)
        rows = Rows(requests, in_a_row, uncounted, treatment_every)
        found = measure(servers, Calls(traffic), keys, rounds=rounds, rows=rows)
    share = f"one request in {treatment_every} goes to the treatment"
    shown = f"{machine}\n{share}\n{table(found)}"
    measured = {
        "machine": asdict(machine),
        "rounds": rounds,
        "rows": asdict(rows),
        "log_rate": log_rate,
        "waited": [asdict(one) for one in found],
    }
    write_text(out / "experiments.json", json.dumps(measured, indent=1) + "\n")
    write_text(out / "experiments.txt", shown + "\n")
    typer.echo(shown)
