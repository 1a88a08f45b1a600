"""`ellm refresh`: precache a catalogue's item embeddings and make them the current generation."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:  # importing this module must stay cheap: every `ellm --help` does it
    from service.refresh.encode import EncodedBatch

app = typer.Typer(help="Encode a catalogue with a bundle and publish it as a new generation.")


@app.callback(invoke_without_command=True)
def refresh_command(
    bundle: Path = typer.Option(..., help="Folder the exporter wrote."),
    items: Path = typer.Option(..., help="Catalogue: .parquet, .csv, .tsv or .jsonl."),
    store: Path = typer.Option(..., help="Folder the service reads; made where absent."),
    workers: int = typer.Option(0, min=0, help="Encoding processes; 0 takes every core."),
) -> None:
    """Encode a catalogue with a bundle and publish it as a new generation.

    The generation that answers requests stays untouched until the new one is complete and checked.
    """
    import os

    from service.refresh.refresh import refresh

    report = refresh(
        bundle=bundle,
        items=items,
        store=store,
        workers=workers or len(os.sched_getaffinity(0)),
        progress=_progress_bar,
    )
    typer.echo(f"items       {report.items:,}")
    typer.echo(f"cut         {report.cut:,} (longer than the bundle's tokens per item)")
    typer.echo(f"no text     {report.no_text:,}")
    typer.echo(f"bytes       {report.bytes:,}")
    typer.echo(f"seconds     {report.seconds:.1f} ({report.items / report.seconds:,.0f} items/s)")
    typer.echo(f"generation  {report.generation_id}")


def _progress_bar(batches: "Iterable[EncodedBatch]", items: int) -> "Iterator[EncodedBatch]":
    from tqdm import tqdm

    with tqdm(total=items, unit=" items", desc="encode") as bar:
        for batch, encoded in batches:
            yield batch, encoded
            bar.update(len(batch))
