"""`ellm teach measure`: one command for every table of docs/catalogue-teacher.md."""

from pathlib import Path

import typer


def measure(
    data: Path = typer.Option(..., "--data", help="Prefix of the data set: <prefix>_items, …"),
    folds: Path = typer.Option(..., "--folds", help="Folds written by `ellm data folds`."),
    teacher: list[Path] = typer.Option(
        ..., "--teacher", help="A fold's folder from `ellm teach fit`; repeatable."
    ),
    out: Path = typer.Option(..., "--out", help="Folder for measures.json and measures.md."),
    of_each: int = typer.Option(
        30, "--of-each", min=1, help="Counterfactuals of each kind and fold; ten times for deletion"
    ),
    ablation: bool = typer.Option(False, "--ablation", help="Leave out each family of features."),
    similarities: Path | None = typer.Option(
        None, "--similarities", help="For the ablation, and alone as zero-shot judges."
    ),
    student_scores: list[Path] = typer.Option(
        [], "--student-scores", help="For the ablation: each teacher's nested scores, in order."
    ),
    beside: list[str] = typer.Option(
        [], "--beside", help="NAME=FILE: a student's scores of test pairs; one file, or one a fold."
    ),
    oamine: Path | None = typer.Option(None, "--oamine", help="OA-Mine's annotated titles."),
    rated: Path | None = typer.Option(None, "--rated", help="Prefix of pairs with raters' grades."),
    rated_teacher: list[Path] = typer.Option(
        [], "--rated-teacher", help="Folds of the rated data set, from `ellm teach fit`."
    ),
    transfer: list[Path] = typer.Option(
        [], "--transfer", help="Prefix of a data set the first teacher judges unchanged."
    ),
    scores: list[str] = typer.Option(
        [],
        "--scores",
        help="NAME=FILE: a student's scores of counterfactual pairs; one file, or one a fold.",
    ),
) -> None:
    """Measure rankings, explanations, extraction, agreement and transfer; write the tables."""
    from relevance.folds import read_folds
    from relevance.records import find_data_set, read_catalogue, read_pairs
    from teacher.measures import run
    from teacher.measures.held_out import held_out
    from teacher.measures.report import write_report

    files, assignment = find_data_set(data), read_folds(folds)
    items = {item.item_id: item for item in read_catalogue(files.items)}
    pairs = read_pairs(files.pairs, labelled=True)
    judged = [
        held_out(folder, run.fold_of(folder), (pairs, items, assignment)) for folder in teacher
    ]
    signals = run.signals_by_fold(similarities, student_scores, len(teacher))
    found: dict[str, object] = {"data": data.name, "folds": [fold.fold for fold in judged]}
    found |= run.rankings(judged, teacher, signals[0], beside=beside)
    found |= run.explanations(judged, of_each=of_each)
    found |= run.counterfactual(judged, out, of_each=of_each, scores=scores)
    found |= run.throughput(judged[0], out)
    if ablation:
        found |= run.ablation(judged, pairs, assignment, signals)
    if oamine is not None:
        found |= run.extraction(oamine)
    if rated is not None:
        found |= run.raters(rated, rated_teacher, judged[0].judge)
    if transfer:
        found |= run.transfer(transfer, judged[0].judge)
    write_report(out, found)
    typer.echo((out / "measures.md").read_text())
