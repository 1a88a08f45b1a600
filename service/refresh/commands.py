"""`ellm refresh`: bring the store's item embeddings to what a catalogue says."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:  # importing this module must stay cheap: every `ellm --help` does it
    from service.refresh.catalogue_source import CatalogueBatch
    from service.refresh.job import RefreshReport
    from service.refresh.plan import Plan
    from service.refresh.rows import Group

app = typer.Typer(help="Encode what changed in a catalogue and let the service see it.")


@app.callback(invoke_without_command=True)
def refresh_command(
    bundle: Path = typer.Option(..., help="Folder the exporter wrote."),
    items: Path = typer.Option(
        ..., help="Catalogue: .parquet, .csv, .tsv or .jsonl, a folder of such, or - for stdin."
    ),
    store: Path = typer.Option(..., help="Folder the service reads; made where absent."),
    workers: int = typer.Option(0, min=0, help="Cores to encode on; 0 takes every one."),
    format: str | None = typer.Option(None, help="csv, tsv, jsonl or parquet; stdin needs it."),
    full: bool = typer.Option(False, "--full", help="Encode every item again."),
    compact: bool = typer.Option(
        False, "--compact", help="Write a new generation even for few changes."
    ),
    dry_run: bool = typer.Option(False, "--dry-run", help="Say what would be done, and stop."),
    ray: str | None = typer.Option(
        None, help="Encode on the Ray cluster at this address; `local` makes one of this machine."
    ),
    rate: float | None = typer.Option(None, min=0.001, help="Most items encoded in a second."),
    index: bool | None = typer.Option(
        None,
        "--index/--no-index",
        help="Make search's candidate index too; by default where the generation before has one.",
    ),
    metrics_file: Path | None = typer.Option(
        None,
        help="Prometheus text file (.prom) to leave the outcome in, failures included.",
        dir_okay=False,
    ),
) -> None:
    """Encode what changed in a catalogue and let the service see it.

    Only items whose text changed are encoded; items the catalogue lacks are removed. Few changes
    are appended to the current generation, many make a new one. What answers requests stays
    untouched until all is written and checked; a run that was killed is gone on with by the next.
    """
    import os

    from relevance.errors import BadInput
    from service.refresh.beside import Index
    from service.refresh.metrics_file import told_to
    from service.refresh.plan import Extent, Options
    from service.refresh.refresh import plan_refresh, refresh

    if full and compact:
        raise BadInput("expected --full or --compact, got both")
    extent = Extent.ALL if full else Extent.COMPACT if compact else Extent.CHANGED
    options = Options(
        extent=extent,
        items_per_second=rate,
        kind=format,
        ray=ray,
        index={None: Index.AS_BEFORE, True: Index.WANTED, False: Index.UNWANTED}[index],
        reading=reading_bar,
    )
    if dry_run:
        _say_plan(plan_refresh(bundle=bundle, items=items, store=store, options=options))
        return
    with told_to(metrics_file) as outcome:
        report = outcome.report = refresh(
            bundle=bundle,
            items=items,
            store=store,
            workers=workers or len(os.sched_getaffinity(0)),
            options=options,
            progress=progress_bar,
        )
    _say_plan(report.plan)
    _say_report(report)


def _say_plan(plan: "Plan") -> None:
    found = plan.differences
    live = "none" if plan.live_items is None else f"{plan.live_items:,}"
    typer.echo(f"items       {plan.items:,} (live: {live})")
    typer.echo(f"added       {found.added:,}")
    typer.echo(f"changed     {found.changed_text:,} in their text, ", nl=False)
    typer.echo(f"{found.changed_fields:,} in other fields")
    typer.echo(f"removed     {len(found.removed):,}")
    typer.echo(f"unchanged   {found.unchanged:,}")
    typer.echo(f"encode      {found.encodings:,}")
    typer.echo(f"outcome     {plan.outcome}")


def _say_report(report: "RefreshReport") -> None:
    if report.damage is not None:
        typer.echo(f"damaged     {report.damage}", err=True)
    rate = report.encoded / report.seconds
    typer.echo(f"written     {report.written:,} (cut: {report.cut:,}, no text: ", nl=False)
    typer.echo(f"{report.no_text:,}, finished by a former run: {report.resumed:,})")
    typer.echo(f"bytes       {report.bytes:,}")
    typer.echo(f"seconds     {report.seconds:.1f} ({rate:,.0f} items encoded a second)")
    for kind in report.beside:
        typer.echo(f"beside it   {kind}")
    typer.echo(f"generation  {report.generation_id}")
    typer.echo(f"sequence    {report.sequence}")


def reading_bar(batches: "Iterable[CatalogueBatch]") -> "Iterator[CatalogueBatch]":
    """Items read so far and how many a second, on stderr."""
    from tqdm import tqdm

    with tqdm(unit=" items", desc="read") as bar:
        for batch in batches:
            yield batch
            bar.update(len(batch.records))


def progress_bar(groups: "Iterable[Group]", items: int) -> "Iterator[Group]":
    """Items done, items a second and the time left, on stderr."""
    from tqdm import tqdm

    with tqdm(total=items, unit=" items", desc="refresh") as bar:
        for group in groups:
            yield group
            bar.update(len(group))
