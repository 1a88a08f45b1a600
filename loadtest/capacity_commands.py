"""`ellm bench capacity`, `ellm bench plan`: what one service holds, how many a shop needs."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:  # importing this module must stay cheap: every `ellm --help` does it
    from loadtest.capacity import Costs, Search
    from loadtest.open_loop import Request
    from loadtest.plan import Constant, Demand, Plan
    from loadtest.processes import Server
    from loadtest.slo import Slo
    from loadtest.stretch import Stretch
    from loadtest.traffic import Traffic

MEASURED = Path("build/bench/capacity.json")
INLINE = 32  # items sent along with a request, to see what encoding one costs


def capacity_command(
    store: Path = typer.Option(..., help="Folder `ellm refresh` published into."),
    data: Path = typer.Option(..., help="Data set whose queries and items are asked for."),
    candidates: int = typer.Option(1000, min=1, help="Items in each request."),
    hit_rate: float = typer.Option(0.0, min=0, max=1, help="Share of queries asked before."),
    p99_ms: float = typer.Option(15.0, min=0.1, help="The SLO: p99 from when a request was due."),
    refused: float = typer.Option(0.0, min=0, max=1, help="The SLO: share of 429 at most."),
    seconds: float = typer.Option(8.0, min=1, help="Length of each stretch."),
    first: float = typer.Option(25.0, min=0.1, help="Requests a second to begin with."),
    steps: int = typer.Option(4, min=0, help="Halvings of the gap once it is found."),
    workers: int = typer.Option(1, min=1, help="Server processes."),
    port: int = typer.Option(0, help="Port for the service; 0: a free one."),
    out: Path = typer.Option(Path("build/bench"), help="Folder of JSON, table and curve."),
) -> None:
    """Search the highest rate that holds the SLO, and what requests cost in CPU and memory."""
    from loadtest.capacity import find_capacity, measure_costs
    from loadtest.own_service import item_bytes, own_service
    from loadtest.redis_memory import redis_item_bytes
    from loadtest.slo import Slo
    from loadtest.stretch import run_stretch
    from loadtest.traffic import only_score, read_traffic, requests

    traffic, slo = read_traffic(data), Slo(p99_ms=p99_ms, refused=refused)
    seeds = iter(range(1, 1 << 30))

    def stream(size: int, rate: float = 0.0) -> "Iterator[Request]":
        return requests(traffic, only_score(size, hit_rate=rate), seed=next(seeds))

    with tempfile.TemporaryDirectory(prefix="ellm-capacity-") as scratch:
        options = {"workers": str(workers)}
        with own_service(store, Path(scratch), port=port, settings=options) as server:
            run_stretch("warm", server, stream(candidates), per_second=first, seconds=2)
            costs = measure_costs(server, stream)
            item_cpu_ms = _item_cpu_ms(server, traffic, data)

            def measure(rate: float) -> "Stretch":
                asked = stream(candidates, hit_rate)
                return run_stretch(f"{rate:.1f}/s", server, asked, per_second=rate, seconds=seconds)

            search = find_capacity(measure, slo, first=first, steps=steps, say=_say)
            worker_mb = server.private_mb() / workers
        redis = redis_item_bytes(store, Path(scratch))
    constants = _constants(search, costs) | {
        "item_bytes": item_bytes(store),
        "worker_mb": worker_mb,
        "item_cpu_ms": item_cpu_ms,
        **({} if redis is None else {"redis_item_bytes": redis}),
    }
    _write(out, search, slo, constants, candidates=candidates, workers=workers, costs=costs)


def plan_command(
    items: float = typer.Option(..., help="Items of the catalogue, say 50e6."),
    qps: float = typer.Option(..., help="Requests a second at the peak."),
    candidates: int = typer.Option(..., help="Items in each request."),
    measured: Path | None = typer.Option(
        None, help=f"What `ellm bench capacity` wrote; {MEASURED}, if it is there."
    ),
    constant: list[str] = typer.Option([], help="name=value in place of a measured constant."),
    cores: int = typer.Option(8, min=1, help="Cores of a replica."),
    memory: float = typer.Option(64.0, help="Memory of a replica, GB."),
    spare: int = typer.Option(1, min=0, help="Replicas that may be away."),
    changed: float = typer.Option(0.05, min=0, max=1, help="Share of items changed in a day."),
) -> None:
    """Turn measured constants into cores, memory, Redis and replicas, the arithmetic shown."""
    from loadtest.plan import Demand, constants_of, make_plan
    from loadtest.tables import read_measured

    given = _given(constant)
    told = read_measured(measured or MEASURED) if measured or MEASURED.exists() else {}
    constants = constants_of(told, given)
    demand = Demand(items, qps, candidates, cores, memory, spare, changed)
    typer.echo(plan_page(demand, constants, make_plan(demand, constants)))


def plan_page(demand: "Demand", constants: "dict[str, Constant]", plan: "Plan") -> str:
    """Constants with their sources, then every step."""
    from loadtest.plan import NAMES
    from loadtest.tables import table

    asked = f"{demand.items:,.0f} items, {demand.qps:,.0f} requests/s of {demand.candidates:,}"
    known = [
        (name, f"{one.value:,.3f}", what, one.source)
        for name, what in NAMES.items()
        for one in [constants[name]]
    ]
    steps = [(one.what, f"{one.value:,.2f}", one.unit, one.how) for one in plan.steps]
    return "\n\n".join(
        [
            f"Plan for {asked}",
            table(("constant", "value", "what it is", "from"), known),
            table(("what", "value", "unit", "how"), steps),
        ]
    )


def _given(constants: list[str]) -> dict[str, float]:
    from loadtest.plan import NAMES
    from relevance.errors import BadInput

    pairs = [text.partition("=") for text in constants]
    wrong = [name for name, _, value in pairs if name not in NAMES or not _is_number(value)]
    if wrong:
        known = ", ".join(NAMES)
        raise BadInput(f"--constant: expected name=number with one of {known}; got {wrong}")
    return {name: float(value) for name, _, value in pairs}


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _item_cpu_ms(server: "Server", traffic: "Traffic", data: Path) -> float:
    """CPU milliseconds an item sent along costs above the same request without it."""
    import json

    from loadtest.bare_client import BareConnection
    from relevance.records import find_data_set, read_catalogue

    titles = [item.title for item in read_catalogue(find_data_set(data).items)[: INLINE * 6]]
    query = next(iter(traffic.visitors))
    blocks = [titles[at : at + INLINE] for at in range(0, len(titles) - INLINE + 1, INLINE)]
    bodies = [
        json.dumps({"query": query, "items": [{"id": str(n), "text": t} for n, t in enumerate(b)]})
        for b in blocks
    ]
    with BareConnection(server.port) as connection:
        connection.post("/score", bodies[0].encode())
        before = server.cpu_seconds()
        for body in bodies:
            connection.post("/score", body.encode())
        return (server.cpu_seconds() - before) / (len(bodies) * INLINE) * 1000


def _constants(search: "Search", costs: "Costs") -> dict[str, float]:
    """What a plan needs; without a rate that held there is no utilisation to plan with."""
    import os

    told = {"fixed_ms": max(costs.fixed_ms, 0.0), "candidate_us": costs.candidate_us}
    if search.best is None:
        return told
    return told | {"utilisation": min(search.best.server_cpu / (os.cpu_count() or 1), 1.0)}


def _write(
    out: Path, search: "Search", slo: "Slo", constants: dict[str, float], **asked: object
) -> None:
    import sys
    from dataclasses import asdict

    from loadtest.curves import capacity_plot, capacity_table
    from loadtest.figures import write_plot
    from loadtest.machine import this_machine
    from loadtest.tables import write_measured

    page = capacity_table(search, slo)
    write_measured(
        out,
        "capacity",
        machine=this_machine(),
        command=" ".join(["ellm", *sys.argv[1:]]),
        page=page,
        slo=asdict(slo),
        asked={name: str(value) for name, value in asked.items()},
        constants=constants,
        best=None if search.best is None else asdict(search.best),
        stretches=[asdict(one) for one in search.tried],
    )
    write_plot(out / "capacity.svg", capacity_plot(search, slo, f"{asked['candidates']}"))
    typer.echo(page)
    for name, value in constants.items():
        typer.echo(f"{name:<18} {value:12,.3f}")


def _say(line: str) -> None:
    typer.echo(f"… {line}", err=True)
