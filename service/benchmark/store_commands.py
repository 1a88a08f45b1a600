"""`ellm bench store`: the local store at a million items, beside a plain write of its bytes."""

from pathlib import Path

import typer


def store_command(
    items: int = typer.Option(1_000_000, min=1000, help="Made-up items; 4 KB each."),
    folder: Path = typer.Option(Path("build/bench"), help="Folder on the disk to measure."),
    out: Path = typer.Option(Path("build/bench"), help="Folder of the JSON and the table."),
) -> None:
    """Measure loading, opening, looking up, and a refresh in which nothing changed."""
    import json
    import tempfile
    from dataclasses import asdict

    from service.benchmark.store_bench import measure_store

    for needed in (folder, out):
        needed.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix="store-") as scratch:
        say = typer.echo
        figures = asdict(
            measure_store(Path(scratch), items=items, say=lambda part: say(f"… {part}", err=True))
        )
    lines = [f"{name.replace('_', ' '):<28} {value:>14,.3f}" for name, value in figures.items()]
    table = "\n".join(lines)
    (out / "store.json").write_text(json.dumps(figures, indent=1) + "\n")
    (out / "store.txt").write_text(table + "\n")
    typer.echo(table)
