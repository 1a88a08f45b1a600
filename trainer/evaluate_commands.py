"""`ellm evaluate`: score a fold's test part, compare judges, draw the report."""

import json
from pathlib import Path

import typer

app = typer.Typer(help="Score pairs, compare judges, draw the report.", no_args_is_help=True)


@app.command()
def scores(
    checkpoint: Path = typer.Option(..., help="Folder of a student's checkpoint."),
    data: Path = typer.Option(..., help="Prefix of the data set's files."),
    folds: Path = typer.Option(..., help="The folds file of `ellm data folds`."),
    fold: int = typer.Option(..., min=0, help="The outer fold whose test part is scored."),
    out: Path = typer.Option(..., help="Where the scores go (Parquet)."),
) -> None:
    """Score the human-labelled pairs of one fold's test part."""
    from relevance.folds import read_folds, split
    from relevance.records import find_data_set, read_catalogue, read_pairs
    from trainer.score_files import write_scores
    from trainer.scoring import score_text_pairs
    from trainer.students.checkpoint import read_checkpoint

    found = find_data_set(data)
    test = split(read_folds(folds), read_pairs(found.pairs, labelled=True), fold=fold).test
    catalogue = {item.item_id: item for item in read_catalogue(found.items)}
    logits = score_text_pairs(read_checkpoint(checkpoint), test, catalogue)
    write_scores(out, test, logits)
    typer.echo(f"{len(test):,} pairs scored: {out}")


@app.command()
def compare(
    data: Path = typer.Option(..., help="Prefix of the data set's files."),
    folder: list[Path] = typer.Option(..., help="A fold's folder (repeat for each fold)."),
    out: Path = typer.Option(..., help="Where the measures go (JSON)."),
) -> None:
    """Compare teacher and students on the folds' test parts, with paired intervals."""
    from relevance.atomic import write_text
    from relevance.records import find_data_set
    from trainer.evaluate import MODELS
    from trainer.evaluate import compare as compare_judges

    found = compare_judges(find_data_set(data), folder)
    write_text(out, json.dumps(found, indent=2) + "\n")
    models = found["models"]
    assert isinstance(models, dict)
    for name in MODELS:
        typer.echo(
            f"{name:8} ROC-AUC {models[name]['roc_auc']:.4f}  "
            f"Neg PR-AUC {models[name]['neg_pr_auc']:.4f}  "
            f"within-query AUC {models[name]['within_query_auc']:.4f}"
        )


@app.command()
def report(
    measures: Path = typer.Option(..., help="What `ellm evaluate compare` wrote."),
    data: Path = typer.Option(..., help="Prefix of the data set's files."),
    folder: list[Path] = typer.Option(..., help="A fold's folder (repeat for each fold)."),
    live: Path = typer.Option(..., help="Served scores and explained pairs (JSON)."),
    out: Path = typer.Option(..., help="Where the report goes (HTML)."),
) -> None:
    """Draw the self-contained report of a demo run."""
    from relevance.atomic import write_text
    from relevance.records import find_data_set
    from trainer.report import render_report

    page = render_report(
        measures=json.loads(measures.read_text()),
        data=find_data_set(data),
        folders=folder,
        live=json.loads(live.read_text()),
    )
    write_text(out, page)
    typer.echo(f"report: {out}")
