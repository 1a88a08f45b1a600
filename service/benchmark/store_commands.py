"""`ellm bench store`: the local store at a million items, or its index of ids at any number."""

from pathlib import Path

import typer


def store_command(
    items: int = typer.Option(1_000_000, min=1000, help="Made-up items; 4 KB each."),
    ids: int | None = typer.Option(
        None, min=1000, max=500_000_000, help="Only the index of so many ids; 45 bytes each."
    ),
    folder: Path = typer.Option(Path("build/bench"), help="Folder on the disk to measure."),
    out: Path = typer.Option(Path("build/bench"), help="Folder of the JSON and the table."),
) -> None:
    """Measure loading, opening, looking up, and a refresh in which nothing changed.

    With `--ids`, instead, what it takes to index so many ids and to find some of them.
    """
    import json
    import tempfile
    from dataclasses import asdict

    from service.benchmark.id_bench import measure_ids
    from service.benchmark.store_bench import measure_store

    for needed in (folder, out):
        needed.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix="store-") as scratch:

        def say(part: str) -> None:
            typer.echo(f"… {part}", err=True)

        place = Path(scratch)
        if ids is None:
            name, figures = "store", asdict(measure_store(place, items=items, say=say))
        else:
            name, figures = "ids", asdict(measure_ids(place, ids=ids, say=say))
    lines = [f"{what.replace('_', ' '):<28} {value:>14,.3f}" for what, value in figures.items()]
    table = "\n".join(lines)
    (out / f"{name}.json").write_text(json.dumps(figures, indent=1) + "\n")
    (out / f"{name}.txt").write_text(table + "\n")
    typer.echo(table)
