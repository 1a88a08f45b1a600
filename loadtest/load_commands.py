"""`ellm bench load`: a load test with everything that happens to a service, and a gate."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:  # importing this module must stay cheap: every `ellm --help` does it
    from loadtest.load_run import LoadResult
    from loadtest.slo import Slo


def load_command(
    store: Path = typer.Option(..., help="Folder `ellm refresh` published into; a copy is used."),
    data: Path = typer.Option(..., help="Data set whose queries and items are asked for."),
    teacher: Path = typer.Option(None, help="Folder of the catalogue teacher."),
    per_second: float = typer.Option(30.0, min=1, help="Requests a second of the open loop."),
    seconds: float = typer.Option(15.0, min=2, help="Length of each phase."),
    users: int = typer.Option(4, min=1, help="Locust's users."),
    user_rate: float = typer.Option(3.0, min=0.1, help="Requests a second of each user."),
    workers: int = typer.Option(1, min=1, help="Server processes."),
    p99_ms: float = typer.Option(150.0, min=1, help="The SLO: p99 of every phase."),
    refused: float = typer.Option(0.0, min=0, max=1, help="The SLO: share of 429 at most."),
    port: int = typer.Option(0, help="Port for the service; 0: a free one."),
    out: Path = typer.Option(Path("build/loadtest"), help="Folder of the reports."),
) -> None:
    """Put a shop's load on a service while it refreshes, swaps and loses its teacher."""
    from loadtest.changes import Store
    from loadtest.load_run import Load, Teacher, phases, run_load
    from loadtest.own_service import copied_store, own_service
    from loadtest.processes import free_port
    from loadtest.slo import Slo
    from loadtest.traffic import read_traffic
    from relevance.records import find_data_set, read_catalogue

    out.mkdir(parents=True, exist_ok=True)
    traffic, slo = read_traffic(data), Slo(p99_ms=p99_ms, refused=refused)
    load = Load(traffic, data, per_second, seconds, users, user_rate)
    with tempfile.TemporaryDirectory(prefix="ellm-load-") as name, Teacher(free_port()) as llm:
        scratch = Path(name)
        copy = Store(
            copied_store(store, scratch / "store"),
            read_catalogue(find_data_set(data).items),
            scratch,
        )
        settings = {
            "workers": str(workers),
            "llm_endpoint": f"http://127.0.0.1:{llm.port}/v1",
            "llm_model": "stand-in",
            **({} if teacher is None else {"teacher": str(teacher)}),
        }
        with own_service(copy.root, scratch, port=port, settings=settings) as server:
            listed = phases(copy, seconds, llm)
            result = run_load(server, listed, load, slo, out=out, say=_say)
    _write(out, result, slo)


def _write(out: Path, result: "LoadResult", slo: "Slo") -> None:
    import sys
    from dataclasses import asdict

    from loadtest.curves import HEADER, STAGE_HEADER, stage_row, stretch_row
    from loadtest.load_report import report
    from loadtest.machine import this_machine
    from loadtest.tables import table, write_measured
    from relevance.atomic import write_text
    from relevance.errors import GateRefused

    machine, command = this_machine(), " ".join(["ellm", *sys.argv[1:]])
    rows = [(one.name, *stretch_row(one), *stage_row(one)) for one in result.stretches]
    page = table(("phase", *HEADER, *STAGE_HEADER), rows)
    write_measured(
        out,
        "load",
        machine=machine,
        command=command,
        page=page,
        slo=asdict(slo),
        faults=list(result.faults),
        stretches=[asdict(one) for one in result.stretches],
    )
    write_text(out / "report.html", report(result, slo, machine, command))
    typer.echo(page)
    typer.echo(f"report: {out / 'report.html'}")
    if result.faults:
        raise GateRefused("the load test did not hold its SLO\n" + "\n".join(result.faults))


def _say(line: str) -> None:
    typer.echo(f"… {line}", err=True)
