"""`ellm evaluate --bundle DIR PAIRS`: pairs through a bundle's own graphs."""

from pathlib import Path

import typer


def evaluate_bundle(
    bundle: Path = typer.Argument(..., help="Folder of the bundle."),
    pairs: Path = typer.Argument(..., help="File of pairs: query, item_id, perhaps good."),
    items: Path = typer.Option(
        None, help="The catalogue's file; by default `<prefix>_items` beside `<prefix>_pairs`."
    ),
    folds: Path = typer.Option(None, help="With --fold: score that fold's test part alone."),
    fold: int = typer.Option(None, min=0, help="The fold of --folds whose test part is scored."),
    out: Path = typer.Option(None, help="Where the scores go (Parquet)."),
) -> None:
    """Score pairs as `/score` does, bit for bit; measures where they are labelled."""
    from exporter.evaluate import measures_of, score_with_bundle, write_scored
    from relevance.bundle import read_bundle
    from relevance.errors import BadInput
    from relevance.folds import read_folds, split
    from relevance.records import find_data_set, read_catalogue, read_pairs

    if (folds is None) != (fold is None):
        raise BadInput("options: expected --folds and --fold together, got one of them")
    if items is None:
        items = find_data_set(pairs.with_name(pairs.stem.removesuffix("_pairs"))).items
    manifest = read_bundle(bundle)
    chosen = read_pairs(pairs, labelled=folds is not None)
    if folds is not None:
        chosen = split(read_folds(folds), chosen, fold=fold).test
    catalogue = {item.item_id: item for item in read_catalogue(items)}
    scored = score_with_bundle(bundle, manifest, chosen, catalogue)
    for name, value in measures_of(scored, threshold=manifest.threshold).items():
        typer.echo(f"{name}: {value:.6g}")
    if out is not None:
        write_scored(out, scored, bundle_id=manifest.bundle_id)
        typer.echo(f"{len(chosen):,} pairs scored by bundle {manifest.bundle_id}: {out}")
