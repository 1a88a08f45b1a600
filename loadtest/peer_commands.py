"""`ellm bench peers`: this service beside what a user would pick instead."""

import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:  # importing this module must stay cheap: every `ellm --help` does it
    from loadtest.contestants import Entry, World
    from loadtest.peer_bench import Row
    from loadtest.service_bench import Interval
    from relevance.records import Pair

BASE = "service"
HEADER = (
    "", "p50 ms, 100", "p99 ms, 100", "p50 ms, 1,000", "p99 ms, 1,000", "answers",
    "pairs/s", "pairs/s of CPU", "memory MB", "cold start s", "ROC-AUC",
)  # fmt: skip


def peers_command(
    store: Path = typer.Option(..., help="Folder `ellm refresh` published into."),
    data: Path = typer.Option(..., help="Data set whose queries and items are asked for."),
    folds: Path = typer.Option(None, help="Folds file: ROC-AUC is of its test part."),
    fold: int = typer.Option(0, min=0, help="The fold whose test part it is."),
    multi_vector: Path = typer.Option(None, help="The student in sentence-transformers' layout."),
    cross_encoder: Path = typer.Option(None, help="A bert student in the same layout."),
    infinity: Path = typer.Option(
        Path("build/peers/infinity-venv/bin/infinity_emb"), help="infinity-emb's command."
    ),
    only: str = typer.Option("", help="Contestants by comma; all by default."),
    rounds: int = typer.Option(5, min=1, help="Rounds in which all take turns."),
    peer_python: Path = typer.Option(
        Path(sys.executable), help="Python that has sentence-transformers, for the peers."
    ),
    out: Path = typer.Option(Path("build/bench"), help="Folder of JSON and table."),
) -> None:
    """Measure servers that score the same pairs in turns; absent ones are named with the reason."""
    from loadtest.contestants import ENTRIES, World, standing
    from loadtest.peer_bench import PeerPlan, measure_peers
    from loadtest.service_bench import Calls
    from loadtest.traffic import Traffic, read_traffic
    from relevance.generation import StorePaths, read_current

    read_current(StorePaths(store))  # here, where a fault is told and not a process's end
    entries = _chosen(ENTRIES, only)
    plan, visitors = PeerPlan(rounds=rounds), read_traffic(data).visitors
    with tempfile.TemporaryDirectory(prefix="ellm-peers-") as scratch:
        models = [None if one is None else one.resolve() for one in (multi_vector, cross_encoder)]
        world = _dumped(
            store,
            Path(scratch),
            World(
                store=store,
                dump=Path(scratch),
                bundle=Path(),
                scratch=Path(scratch),
                peer_python=peer_python,
                multi_vector=models[0],
                cross_encoder=models[1],
                infinity=infinity,
            ),
        )
        pairs = _labelled(data, folds, fold, known=world.texts)
        with standing(entries, world) as (contestants, absent):
            calls = Calls(Traffic(visitors, list(world.texts)))
            rows = measure_peers(contestants, calls, pairs, plan, say=_say)
    _write(out, rows, absent, entries, plan=plan, pairs=len(pairs))


def _chosen(entries: "Sequence[Entry]", only: str) -> "list[Entry]":
    from relevance.errors import BadInput

    names = only.split(",") if only else [entry.name for entry in entries]
    unknown = [name for name in names if name not in {entry.name for entry in entries}]
    if unknown:
        known = ", ".join(entry.name for entry in entries)
        raise BadInput(f"--only: expected some of {known}; got {', '.join(unknown)}")
    return [entry for entry in entries if entry.name in {*names, BASE}]


def _dumped(store: Path, folder: Path, world: "World") -> "World":
    """The world with what a process of the service's own wrote for the peers."""
    import json
    from dataclasses import replace

    from loadtest.processes import Answering

    with Answering([sys.executable, "-m", "service.benchmark.parts", str(store)]) as parts:
        bundle = Path(parts.ask({"dump": str(folder)})["bundle"]).resolve()
    ids = json.loads((folder / "ids.json").read_text())
    texts = json.loads((folder / "texts.json").read_text())
    return replace(world, bundle=bundle, texts=dict(zip(ids, texts, strict=True)))


def _labelled(
    data: Path, folds: Path | None, fold: int, *, known: Mapping[str, str]
) -> "list[Pair]":
    """The test part's pairs of items that have a text; none without folds."""
    from relevance.folds import read_folds, split
    from relevance.records import find_data_set, read_pairs

    if folds is None:
        return []
    pairs = read_pairs(find_data_set(data).pairs, labelled=True)
    return [p for p in split(read_folds(folds), pairs, fold=fold).test if p.item_id in known]


def _write(
    out: Path,
    rows: "Sequence[Row]",
    absent: Mapping[str, str],
    entries: "Sequence[Entry]",
    **asked: object,
) -> None:
    from loadtest.machine import this_machine
    from loadtest.peer_bench import figures
    from loadtest.tables import write_measured

    page = peers_page(rows, absent, entries)
    write_measured(
        out,
        "peers",
        machine=this_machine(),
        command=" ".join(["ellm", *sys.argv[1:]]),
        page=page,
        asked={name: str(value) for name, value in asked.items()},
        rows=figures(rows),
        absent=dict(absent),
    )
    typer.echo(page)


def peers_page(rows: "Sequence[Row]", absent: Mapping[str, str], entries: "Sequence[Entry]") -> str:
    """Ratios first, then the figures, then what each contestant is or why it is not there."""
    from loadtest.peer_bench import SIZES, ratio_to
    from loadtest.tables import table

    base = rows[0]
    ratios = [
        (row.name, *(_shown(ratio_to(base, row, size)) for size in SIZES), _cpu_ratio(base, row))
        for row in rows[1:]
    ]
    lines = [
        (
            row.name,
            *(f"{row.quantile(n, q):.2f}" for n in SIZES for q in (0.5, 0.99)),
            " + ".join(str(row.answers(size)) for size in SIZES),
            f"{row.pairs_per_second:,.0f}",
            f"{row.pairs_per_cpu_second:,.0f}",
            f"{row.private_mb:,.0f}",
            f"{row.cold_start_s:.1f}",
            f"{100 * row.roc_auc:.1f}",
        )
        for row in rows
    ]
    who = [(entry.name, absent.get(entry.name, "measured"), entry.what) for entry in entries]
    return "\n\n".join(
        [
            f"Times as long as {base.name} (median of rounds, nine tenths of them in brackets)",
            table(("", "100, waited", "1,000, waited", "1,000, CPU"), ratios) if ratios else "",
            "Milliseconds a request, one at a time, every query new; 1,000 under load",
            table(HEADER, lines),
            table(("contestant", "", "what it is"), who),
        ]
    )


def _cpu_ratio(base: "Row", row: "Row") -> str:
    from statistics import median

    from loadtest.peer_bench import SIZES

    return f"{median(row.cpu_ms[SIZES[-1]]) / median(base.cpu_ms[SIZES[-1]]):.1f}"


def _shown(interval: "Interval") -> str:
    return f"{interval.median:.1f} ({interval.low:.1f}–{interval.high:.1f})"


def _say(line: str) -> None:
    typer.echo(f"… {line}", err=True)
