"""`ellm store index`: make a generation's candidate index."""

from pathlib import Path

import typer


def index_command(
    store: Path = typer.Option(..., "--store", help="Folder `ellm refresh` publishes into."),
    span: int = typer.Option(
        1, min=1, max=255, help="Neighbouring tokens a vector: more are smaller and find less."
    ),
) -> None:
    """Make the candidate index that `POST /search` uses, beside the current generation."""
    import time

    from relevance.bundle import read_bundle
    from relevance.generation import StorePaths, read_current
    from service.candidates.index import build_candidates
    from service.store.generation_reader import open_generation
    from service.store.publish import writing

    paths = StorePaths(store)
    current = read_current(paths)
    bundle = read_bundle(paths.bundle(current.bundle))
    generation = open_generation(paths.generation(current.generation), bundle)
    began = time.monotonic()
    with writing(paths):
        folder = build_candidates(paths, generation, span=span)
    held = sum(path.stat().st_size for path in folder.iterdir())
    typer.echo(f"items       {generation.manifest.items:,}")
    typer.echo(f"bytes       {held:,}")
    typer.echo(f"seconds     {time.monotonic() - began:.1f}")
    typer.echo(f"folder      {folder}")
