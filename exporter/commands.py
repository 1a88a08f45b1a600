"""`ellm export`: a student's checkpoint becomes a bundle; bundles are looked at and checked."""

from pathlib import Path

import typer

from relevance.bundle import Precision

app = typer.Typer(help="Export a student's checkpoint as a bundle of ONNX graphs; check bundles.")


@app.callback(invoke_without_command=True)
def export(
    context: typer.Context,
    checkpoint: Path = typer.Option(None, help="Folder of the student's checkpoint."),
    data: Path = typer.Option(None, help="Prefix of the data set's files."),
    folds: Path = typer.Option(None, help="The folds file of `ellm data folds`."),
    fold: int = typer.Option(None, min=0, help="The fold whose validation part calibrates."),
    out: Path = typer.Option(None, help="Folder of the bundle."),
    precision: Precision | None = typer.Option(
        None, help="Of the encoder; by default 8 bits where lists keep their order, else fp32."
    ),
    codec: str = typer.Option(
        "", help="Smaller item rows: of `dim64,pool2,4bit,skip-punctuation` what you want."
    ),
    licence: str = typer.Option("", help="Licence of the weights, for the card."),
) -> None:
    """Write ONNX graphs, fit scale and calibration, and refuse what differs from the student."""
    if context.invoked_subcommand is not None:
        return
    _require(context, "checkpoint", "data", "folds", "fold", "out")
    from exporter.attempt import CalibrationPairs
    from exporter.codecs import codec_named
    from exporter.export import REPORT, ExportOptions, export_bundle
    from exporter.provenance import checkpoint_seals
    from relevance.folds import read_folds, split
    from relevance.records import find_data_set, read_catalogue, read_pairs
    from trainer.students.checkpoint import read_checkpoint

    found = find_data_set(data)
    parts = split(read_folds(folds), read_pairs(found.pairs, labelled=True), fold=fold)
    catalogue = {item.item_id: item for item in read_catalogue(found.items)}
    chosen = codec_named(codec)
    manifest = export_bundle(
        read_checkpoint(checkpoint),
        CalibrationPairs(parts.validation, catalogue),
        out,
        source={"data": found.name, "fold": str(fold), "checkpoint": checkpoint.name},
        options=ExportOptions(
            precision=precision,
            codec=chosen.rows,
            dim=chosen.dim,
            licence=licence,
            checkpoint=checkpoint_seals(checkpoint),
        ),
    )
    for name, value in manifest.parity.items():
        typer.echo(f"parity {name}: {value:.3g}")
    for line in _flipped(out / REPORT):
        typer.echo(line)
    typer.echo(
        f"bundle {manifest.bundle_id} ({manifest.precision}, calibration: "
        f"{manifest.calibration}): {out}"
    )


@app.command()
def verify(
    bundle: Path = typer.Argument(..., help="Folder of the bundle."),
) -> None:
    """Check seals and version, run the graphs, compare golden answers; exit code 3 if wrong."""
    from exporter.verify import verify_bundle

    verified = verify_bundle(bundle)
    typer.echo(
        f"bundle {verified.manifest.bundle_id} is as it was made: {len(verified.manifest.files)} "
        f"files sealed, golden rows exact, {verified.golden_pairs} golden pairs within "
        f"{verified.logit_max_difference:.2g} of their logits"
    )


@app.command()
def inspect(
    bundle: Path = typer.Argument(..., help="Folder of the bundle."),
    markdown: bool = typer.Option(False, "--markdown", help="As a Markdown page."),
) -> None:
    """Print the bundle's card: what it is, measures, calibration, where it comes from."""
    from exporter.card import as_markdown, as_text
    from relevance.bundle import read_bundle

    manifest = read_bundle(bundle)
    typer.echo(as_markdown(manifest) if markdown else as_text(manifest), nl=False)


@app.command()
def sentence_transformers(
    checkpoint: Path = typer.Argument(..., help="Folder of a colbert or bert checkpoint."),
    out: Path = typer.Argument(..., help="Folder of the model."),
    licence: str = typer.Option("", help="Licence of the weights, as the Hub names it."),
) -> None:
    """Write the student as sentence-transformers 6 loads it, with a model card."""
    from exporter.model_card import write_model_card
    from trainer.students.checkpoint import read_student
    from trainer.students.interop import write_sentence_transformers

    student = read_student(checkpoint)
    write_sentence_transformers(out, student)
    write_model_card(out, student.card, licence=licence)
    typer.echo(f"{student.card.student.value} in sentence-transformers' layout: {out}")


@app.command()
def graphs(
    checkpoint: Path = typer.Argument(..., help="Folder of a sentence_bert or bert checkpoint."),
    out: Path = typer.Argument(..., help="Folder of the graphs."),
    data: Path = typer.Option(..., help="Prefix of the data set whose pairs are compared."),
    pairs: int = typer.Option(200, min=1, help="So many of them, evenly drawn."),
    licence: str = typer.Option("", help="Licence of the weights."),
) -> None:
    """Write the ONNX graphs of a student that is not served, held to torch."""
    from exporter.graph_folder import export_graphs
    from relevance.item_text import item_text
    from relevance.records import find_data_set, read_catalogue, read_pairs
    from trainer.students.checkpoint import read_student

    found, student = find_data_set(data), read_student(checkpoint)
    catalogue = {item.item_id: item for item in read_catalogue(found.items)}
    asked = read_pairs(found.pairs)
    drawn = asked[:: max(1, len(asked) // pairs)][:pairs]
    texts = [(p.query, item_text(catalogue[p.item_id], student.card.item_text)) for p in drawn]
    manifest = export_graphs(student, texts, out, licence=licence)
    typer.echo(
        f"{manifest.student} in {len(manifest.files)} files: {out}; logits of "
        f"{manifest.pairs_compared:,} pairs within {manifest.logit_max_difference:.2g} of torch's"
    )


def _require(context: typer.Context, *names: str) -> None:
    """Options that the export itself cannot do without, though its subcommands can."""
    for name in names:
        if context.params[name] is None:
            raise typer.BadParameter(f"Missing option '--{name}'.", ctx=context)


def _flipped(report: Path) -> list[str]:
    """The report's lists that changed their order, where there are any."""
    import json

    content = json.loads(report.read_text())
    shown = content["flipped"][:5]
    head = f"{content['lists_flipped']} candidate lists changed their order; the widest changes:"
    lines = [
        f"  {f['query']!r}: tau {f['tau']:.3f}, {f['flips']} of {f['candidates']} candidates' "
        f"pairs; {f['above']!r:.50} led {f['below']!r:.50} by {f['reference_gap']:.4f}, "
        f"now trails by {f['served_gap']:.4f}"
        for f in shown
    ]
    return [head, *lines] if shown else []
