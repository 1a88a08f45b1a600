"""`ellm store`: look at a store's generations, check, move, return to and remove them."""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:  # importing this module must stay cheap: every `ellm --help` does it
    from service.store.generation_reader import GenerationReader

app = typer.Typer(
    help="List, inspect, verify, compare, move, return to and remove generations.",
    no_args_is_help=True,
)
STORE = typer.Option(..., "--store", help="Folder `ellm refresh` publishes into.")
GENERATION = typer.Option(None, "--generation", help="A generation's id; else the current one.")


@app.command("list")
def list_command(store: Path = STORE) -> None:
    """List the generations, the newest first; * marks the one that answers."""
    from relevance.errors import BadInput
    from relevance.generation import StorePaths
    from service.store.retention import held_generations

    if store.is_file():
        raise BadInput(f"{store}: expected the folder of a store, got a file")
    generations = held_generations(StorePaths(store))
    if not generations:
        typer.echo(f"{store}: no generation yet\nhint: `ellm refresh` makes one", err=True)
    for held in generations:
        mark = "*" if held.is_current else " "
        made = held.manifest
        typer.echo(
            f"{mark} {made.generation_id}  {made.items:>12,} items  {held.sequence:>8,} changes  "
            f"{held.bytes / 1e6:>10,.1f} MB  bundle {made.bundle_id}  {made.created}"
        )


@app.command()
def inspect(store: Path = STORE, generation: str | None = GENERATION) -> None:
    """Say what one generation holds."""
    import numpy as np

    reader = _open(store, generation)
    made, rows = reader.manifest, reader.live_rows()
    share = np.count_nonzero(reader.truncated[rows]) / max(1, len(rows))
    typer.echo(f"generation  {made.generation_id}")
    typer.echo(f"format      {made.format}")
    typer.echo(f"bundle      {made.bundle_id}")
    typer.echo(f"created     {made.created}")
    typer.echo(f"items       {len(rows):,} (base: {made.items:,})")
    typer.echo(f"sequence    {reader.sequence:,} in {len(reader.overlay.placed):,} segments")
    typer.echo(f"rows        {made.rows} of {made.dim} bytes, {made.item_bytes:,} bytes an item")
    typer.echo(f"item text   {made.item_text}")
    typer.echo(f"cut         {share:.1%}")
    typer.echo(f"no text     {np.count_nonzero(reader.token_counts[rows] == 0):,}")
    for name, size in made.sizes.items():
        typer.echo(f"  {name:<20} {size:>16,}")


@app.command()
def verify(
    store: Path = STORE,
    generation: str | None = GENERATION,
    rate: float | None = typer.Option(None, help="Most MB read in a second."),
    quarantine: bool = typer.Option(
        False, "--quarantine", help="Set a damaged generation aside and return to the one before."
    ),
) -> None:
    """Read every checksum of a generation and its deltas; exit code 3 where one is wrong."""
    import math

    from relevance.errors import BadGeneration
    from relevance.generation import StorePaths
    from service.store import retention
    from service.store.scrub import scrub

    paths = StorePaths(store)
    name = retention.generation_or_current(paths, generation)
    found = scrub(paths, name, bytes_per_second=math.inf if rate is None else rate * 1e6)
    if found.damage is None:
        typer.echo(f"{name}: sound, {found.bytes:,} bytes read")
        return
    if quarantine:
        now = retention.quarantine(paths, name)
        typer.echo(f"{name}: set aside in {paths.quarantine(name)}")
        typer.echo(f"current: {now.generation}")
    raise BadGeneration(f"{name}: damaged: {found.damage}")


@app.command()
def diff(
    old: str = typer.Argument(..., help="A generation's id."),
    new: str | None = typer.Argument(None, help="Another; else the current one."),
    store: Path = STORE,
) -> None:
    """Say what items differ between two generations."""
    from service.store.difference import compare_generations

    found = compare_generations(_open(store, old), _open(store, new))
    for kind in ("added", "removed", "changed_text", "changed_fields", "changed_rows"):
        examples = ", ".join(found.examples[kind])
        shown = f"  ({examples}{', …' if getattr(found, kind) > 5 else ''})" if examples else ""
        typer.echo(f"{kind.replace('_', ' '):<15} {getattr(found, kind):,}{shown}")


@app.command("export")
def export_command(
    out: Path = typer.Option(..., "--out", help="The archive to write (.tar)."),
    store: Path = STORE,
    generation: str | None = GENERATION,
) -> None:
    """Write a generation, its deltas and its bundle as one archive."""
    from relevance.generation import StorePaths
    from service.store.retention import generation_or_current
    from service.store.transfer import export_generation

    paths = StorePaths(store)
    name = generation_or_current(paths, generation)
    typer.echo(f"{out}: {export_generation(paths, name, out):,} bytes, generation {name}")


@app.command("import")
def import_command(
    archive: Path = typer.Argument(..., help="What `ellm store export` wrote."),
    store: Path = STORE,
    publish: bool = typer.Option(False, "--publish", help="Make it current as well."),
) -> None:
    """Take a generation in from another machine, every checksum read."""
    from relevance.generation import StorePaths
    from service.store import publish as publishing
    from service.store.transfer import import_generation

    paths = StorePaths(store)
    with publishing.writing(paths):
        name = import_generation(paths, archive)
        if publish:
            publishing.publish(paths, name)
    typer.echo(f"{name}: taken in{' and current' if publish else ''}")


@app.command()
def rollback(
    store: Path = STORE,
    to: str | None = typer.Option(None, help="A generation's id; else the one before."),
) -> None:
    """Return to an earlier generation and its bundle, once it is found sound."""
    from relevance.generation import StorePaths
    from service.store.retention import roll_back

    now = roll_back(StorePaths(store), to=to)
    typer.echo(f"current: {now.generation} (bundle {now.bundle})")


@app.command()
def gc(
    store: Path = STORE,
    keep: int = typer.Option(2, min=0, help="Generations to keep beside the current one."),
) -> None:
    """Remove older generations, and bundles that none needs any more."""
    from relevance.errors import BadInput
    from relevance.generation import StorePaths
    from service.store.publish import writing
    from service.store.retention import collect_garbage

    if not store.is_dir():
        raise BadInput(f"{store}: expected the folder of a store, found none")
    paths = StorePaths(store)
    with writing(paths):
        removed = collect_garbage(paths, keep=keep)
    typer.echo(f"removed {len(removed)}: {', '.join(removed) or 'nothing'}")


def _open(store: Path, generation: str | None) -> "GenerationReader":
    from relevance.bundle import read_bundle
    from relevance.generation import StorePaths, read_manifest
    from service.store.generation_reader import open_generation
    from service.store.retention import generation_or_current

    paths: StorePaths = StorePaths(store)
    folder = paths.generation(generation_or_current(paths, generation))
    bundle = read_bundle(paths.bundle(read_manifest(folder).bundle_id))
    return open_generation(folder, bundle)
