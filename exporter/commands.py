"""`ellm export`: a student's checkpoint becomes a bundle."""

from pathlib import Path

import typer

app = typer.Typer(help="Export a student's checkpoint as a bundle of ONNX graphs.")


@app.callback(invoke_without_command=True)
def export(
    checkpoint: Path = typer.Option(..., help="Folder of the student's checkpoint."),
    data: Path = typer.Option(..., help="Prefix of the data set's files."),
    folds: Path = typer.Option(..., help="The folds file of `ellm data folds`."),
    fold: int = typer.Option(..., min=0, help="The fold whose validation part calibrates."),
    out: Path = typer.Option(..., help="Folder of the bundle."),
) -> None:
    """Write ONNX graphs, fit scale and calibration, and refuse what differs from the student."""
    from exporter.export import CalibrationPairs, export_bundle
    from relevance.folds import read_folds, split
    from relevance.records import find_data_set, read_catalogue, read_pairs
    from trainer.students.checkpoint import read_checkpoint

    found = find_data_set(data)
    parts = split(read_folds(folds), read_pairs(found.pairs, labelled=True), fold=fold)
    catalogue = {item.item_id: item for item in read_catalogue(found.items)}
    source = {"data": found.name, "fold": str(fold), "checkpoint": checkpoint.name}
    manifest = export_bundle(
        read_checkpoint(checkpoint),
        CalibrationPairs(parts.validation, catalogue),
        out,
        source=source,
    )
    for name, value in manifest.parity.items():
        typer.echo(f"parity {name}: {value:.3g}")
    typer.echo(f"bundle {manifest.bundle_id} (calibration: {manifest.calibration}): {out}")
