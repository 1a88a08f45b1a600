"""`ellm bench service`: starts the service, its parts and a peer, measures, writes a table."""

import json
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:  # importing this module must stay cheap: every `ellm --help` does it
    from loadtest.processes import Answering, Server
    from loadtest.service_bench import Interval, Latencies, Load

NAMES = ("service", "encode", "score", "bare", "fetch", "peer")
PEER = Path(__file__).parent / "peers" / "multi_vector_peer.py"


def service_command(
    store: Path = typer.Option(..., help="Folder `ellm refresh` published into."),
    data: Path = typer.Option(..., help="Data set whose queries and items are asked for."),
    out: Path = typer.Option(Path("build/bench"), help="Folder of the JSON and the table."),
    rounds: int = typer.Option(10, min=1, help="Alternating rounds of single requests."),
    requests: int = typer.Option(20, min=5, help="So many to each in a row; the median counts."),
    load_seconds: float = typer.Option(3.0, min=0.5, help="Length of each stretch of load."),
    peer_python: Path = typer.Option(
        Path(sys.executable), help="Python that has sentence-transformers, for the peer."
    ),
) -> None:
    """Measure `/score` against the sum of its parts, and against sentence-transformers' MaxSim."""
    from loadtest.service_bench import Calls, Plan, measure_latencies, measure_load
    from loadtest.traffic import Traffic, read_traffic
    from relevance.generation import StorePaths, read_current

    read_current(StorePaths(store))  # here, where a fault is told and not a process's end
    plan = Plan(rounds=rounds, requests=requests, load_seconds=load_seconds)
    visitors = read_traffic(data).visitors
    with _standing(store, peer_python) as (service, bare, peer, parts, item_ids):
        calls = Calls(Traffic(visitors, item_ids))
        latencies = measure_latencies([service, bare, peer], parts, calls, plan)
        loads = measure_load([service, peer], calls, plan)
    table = "\n".join([*_latency_lines(latencies), "", *_load_lines(loads)])
    out.mkdir(parents=True, exist_ok=True)
    measured = {
        "plan": asdict(plan),
        "cpus": os.cpu_count(),
        "latencies": [asdict(one) for one in latencies],
        "loads": [asdict(one) for one in loads],
    }
    (out / "service.json").write_text(json.dumps(measured, indent=1) + "\n")
    (out / "service.txt").write_text(table + "\n")
    typer.echo(table)


@contextmanager
def _standing(
    store: Path, peer_python: Path
) -> "Iterator[tuple[Server, Server, Server, Answering, list[str]]]":
    """The three servers, the process that times parts, and the ids of all items with a text."""
    from loadtest.processes import Answering, free_port, serving

    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        parts = stack.enter_context(
            Answering([sys.executable, "-m", "service.benchmark.parts", str(store)])
        )
        bundle = parts.ask({"dump": str(folder)})["bundle"]
        ports = [free_port() for _ in range(3)]
        commands = (
            ("service", [sys.executable, "-m", "relevance", "serve", "--port", str(ports[0])]),
            ("bare", _bare(ports[1])),
            ("peer", [str(peer_python), str(PEER), str(ports[2]), str(folder), bundle]),
        )
        settings = {"ELLM_STORE": str(store), "ELLM_LOG_REQUESTS": "none"}
        service, bare, peer = (
            stack.enter_context(
                serving(
                    name,
                    command,
                    port=port,
                    log=folder / f"{name}.log",
                    environment={**os.environ, **(settings if name == "service" else {})},
                )
            )
            for (name, command), port in zip(commands, ports, strict=True)
        )
        yield service, bare, peer, parts, json.loads((folder / "ids.json").read_text())


def _bare(port: int) -> list[str]:
    options = ["--loop", "uvloop", "--http", "httptools", "--no-access-log", "--port", str(port)]
    return [
        sys.executable,
        "-m",
        "uvicorn",
        "--factory",
        "service.benchmark.bare:create_app",
        *options,
    ]


def _latency_lines(latencies: "Sequence[Latencies]") -> list[str]:
    lines = ["milliseconds a request, one at a time, every query new: median of rounds"]
    lines.append(f"{'candidates':>10}{'':>11}" + "".join(f"{name:>9}" for name in NAMES))
    for one in latencies:
        for what, rounds in (("waited", one.waited), ("CPU", one.worked)):
            medians = "".join(f"{median(rounds[name]):9.2f}" for name in NAMES)
            lines.append(f"{one.candidates:>10}{what:>11}{medians}")
    lines += ["", "ratios within rounds: median (nine tenths of rounds)"]
    lines += [line for one in latencies for line in _ratio_lines(one)]
    return lines


def _ratio_lines(one: "Latencies") -> list[str]:
    from loadtest.service_bench import in_a_row, ratio

    lines = []
    for what, rounds in (("waited", one.waited), ("CPU", one.worked)):
        ratios = {
            "service / (encode + score + bare)": (["service"], ["encode", "score", "bare"]),
            "the same, both parts in a row": (
                ["service"],
                [in_a_row("encode"), in_a_row("score"), "bare"],
            ),
            "peer / service": (["peer"], ["service"]),
        }
        lines += [
            f"{one.candidates:>10}{what:>11}   {name:<34}{_shown(ratio(rounds, above, below))}"
            for name, (above, below) in ratios.items()
        ]
    return lines


def _shown(interval: "Interval") -> str:
    return f"{interval.median:.2f} ({interval.low:.2f}–{interval.high:.2f})"


def _load_lines(loads: "Sequence[Load]") -> list[str]:
    lines = [
        f"closed loop, {loads[0].candidates} candidates",
        f"{'server':>10}{'hit rate':>10}{'pairs/s of CPU':>16}{'pairs/s':>12}{'client CPU':>12}",
    ]
    for name, rate in dict.fromkeys((one.server, one.hit_rate) for one in loads):
        some = [one for one in loads if (one.server, one.hit_rate) == (name, rate)]
        by_cpu = median([one.pairs_per_cpu_second for one in some])
        by_time = median([one.pairs_per_second for one in some])
        client = median([one.client_cpu / one.seconds for one in some])
        lines.append(f"{name:>10}{rate:>10.0%}{by_cpu:>16,.0f}{by_time:>12,.0f}{client:>12.0%}")
    return lines
