"""`ellm store tokens`: make a generation's token store for `ellm serve --item-store faiss`."""

from pathlib import Path

import typer


def tokens_command(
    store: Path = typer.Option(..., "--store", help="Folder `ellm refresh` publishes into."),
    codec: str = typer.Option("flat", help="flat: the same bytes; pq: a quarter of them."),
    sample: int = typer.Option(256, min=1, help="Items whose reconstruction is compared."),
) -> None:
    """Keep the current generation's token embeddings in FAISS, beside it."""
    from relevance.bundle import read_bundle
    from relevance.errors import BadInput
    from relevance.generation import StorePaths, read_current
    from service.faiss_store.token_store import (
        TokenCodec,
        build_tokens,
        codec_error,
        open_tokens,
    )
    from service.store.generation_reader import open_generation
    from service.store.publish import writing

    if codec not in list(TokenCodec):
        raise BadInput(f"--codec: expected one of {', '.join(TokenCodec)}, got {codec}")
    paths = StorePaths(store)
    current = read_current(paths)
    bundle = read_bundle(paths.bundle(current.bundle))
    generation = open_generation(paths.generation(current.generation), bundle)
    with writing(paths):
        folder = build_tokens(paths, generation, TokenCodec(codec))
    items = open_tokens(paths, generation)
    arena = generation.manifest.items * generation.manifest.item_bytes
    held = sum(path.stat().st_size for path in folder.iterdir())
    typer.echo(f"tokens      {items.tokens.ntotal:,} of {generation.manifest.items:,} items")
    typer.echo(f"bytes       {held:,} ({held / arena:.0%} of the arena's)")
    typer.echo(f"error       {codec_error(items, sample=sample):.4f} (mean cosine lost a token)")
    typer.echo(f"folder      {folder}")
