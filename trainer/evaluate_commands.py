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
    from trainer.students.checkpoint import read_student

    found = find_data_set(data)
    test = split(read_folds(folds), read_pairs(found.pairs, labelled=True), fold=fold).test
    catalogue = {item.item_id: item for item in read_catalogue(found.items)}
    logits = score_text_pairs(read_student(checkpoint), test, catalogue)
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
    from trainer.evaluate import compare as compare_judges
    from trainer.fold_scores import MODELS

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
def cost(
    checkpoint: Path = typer.Option(..., help="Folder of a student's checkpoint."),
    data: Path = typer.Option(..., help="Prefix of the data set's files."),
    out: Path = typer.Option(..., help="Where the figures go (JSON)."),
    pairs: int = typer.Option(1000, min=1, help="How many labelled pairs are scored."),
) -> None:
    """Measure parameters and milliseconds per 1,000 pairs, with and without cached items."""
    from dataclasses import asdict

    from relevance.atomic import write_text
    from relevance.records import find_data_set, read_catalogue, read_pairs
    from trainer.cost import measure_cost
    from trainer.examples import TextLengths, tokenise_texts
    from trainer.students.checkpoint import read_student
    from trainer.students.devices import best_device

    found = find_data_set(data)
    chosen = read_pairs(found.pairs)[:pairs]
    catalogue = {item.item_id: item for item in read_catalogue(found.items)}
    read = read_student(checkpoint)
    card = read.card
    lengths = TextLengths(card.query_tokens, card.item_tokens, card.item_text)
    texts = tokenise_texts(read.tokenizer, chosen, catalogue, lengths)
    training = card.run.get("training_ms_per_1000_pairs")
    student = read.student.to(best_device())
    measured = measure_cost(student, chosen, texts, training_ms=training)
    write_text(out, json.dumps({"student": card.student, **asdict(measured)}, indent=2) + "\n")
    cached = "–" if measured.cached_ms is None else f"{measured.cached_ms:,.0f} ms"
    typer.echo(
        f"{card.student}: {measured.parameters:,} parameters; per 1,000 pairs "
        f"{measured.ms:,.0f} ms, with cached items {cached} ({measured.device})"
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
