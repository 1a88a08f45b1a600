"""`ellm rollout` and `ellm store compact`: new generations of what a store holds already."""

from pathlib import Path

import typer

app = typer.Typer(help="Make another bundle live: encode, compare, switch, keep the old.")


@app.callback(invoke_without_command=True)
def rollout_command(
    bundle: Path = typer.Option(..., help="Folder of the new bundle."),
    store: Path = typer.Option(..., help="Folder the service reads."),
    pairs: Path | None = typer.Option(
        None, help="Pairs file to compare scores on; else titles of sampled items ask."
    ),
    max_changed_labels: float = typer.Option(
        1.0, min=0, max=1, help="Refuse where a larger share of the pairs changes its label."
    ),
    max_mean_difference: float = typer.Option(
        1.0, min=0, max=1, help="Refuse where scores differ by more on average."
    ),
    workers: int = typer.Option(0, min=0, help="Cores to encode on; 0 takes every one."),
) -> None:
    """Make another bundle live: encode the live items with it, compare, switch both at once.

    The old generation and its bundle stay; `ellm store rollback` returns to them.
    """
    import os

    from relevance.records import read_pairs
    from service.refresh.commands import progress_bar
    from service.refresh.rollout import Limits, roll_out

    done = roll_out(
        bundle=bundle,
        store=store,
        pairs=() if pairs is None else read_pairs(pairs),
        limits=Limits(max_changed_labels, max_mean_difference),
        workers=workers or len(os.sched_getaffinity(0)),
        progress=progress_bar,
    )
    found = done.comparison
    typer.echo(f"pairs            {found.pairs:,} ({found.skipped:,} that one bundle cannot score)")
    typer.echo(f"mean difference  {found.mean_difference:.4f}")
    typer.echo(f"largest          {found.largest_difference:.4f}")
    typer.echo(f"rank correlation {found.rank_correlation:.4f}")
    typer.echo(f"changed labels   {found.changed_labels:.1%}")
    typer.echo(f"items            {done.report.written:,}")
    typer.echo(f"seconds          {done.report.seconds:.1f}")
    typer.echo(f"generation       {done.report.generation_id}")


def compact_command(
    store: Path = typer.Option(..., help="Folder the service reads."),
) -> None:
    """Make one new generation of the current one and its deltas; nothing is encoded."""
    from service.refresh.commands import progress_bar
    from service.refresh.compact import compact

    report = compact(store, progress=progress_bar)
    typer.echo(f"items       {report.written:,}")
    typer.echo(f"seconds     {report.seconds:.1f}")
    typer.echo(f"generation  {report.generation_id}")
