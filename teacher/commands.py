"""`ellm teach`: fit the catalogue teacher here; the other commands have files of their own.

Only the command line lives here; heavy imports stay inside the commands so that --help is quick.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from teacher.annotation_commands import annotate, select
from teacher.audit_commands import audit
from teacher.gate_commands import gate
from teacher.judge_commands import judge
from teacher.lexicon_commands import lexicon
from teacher.measure_commands import measure
from teacher.sample_commands import sample

if TYPE_CHECKING:
    from relevance.records import Pair
    from teacher.signal_files import SignalTable

app = typer.Typer(
    help="Judge pairs and say why: by the catalogue teacher or a language model.",
    no_args_is_help=True,
)

SIMILARITIES = typer.Option(
    None,
    "--similarities",
    help="Parquet with query, item_id and a column for each cosine; pairs it lacks are judged "
    "without.",
)
STUDENTS = typer.Option(
    None,
    "--student-scores",
    help="Parquet with query, item_id and a column of log-odds for each student. Those of train "
    "pairs must be nested out-of-fold.",
)


@app.command()
def fit(
    data: Path = typer.Option(..., "--data", help="Prefix of the data set: <prefix>_items, …"),
    folds: Path = typer.Option(..., "--folds", help="Folds written by `ellm data folds`."),
    fold: int = typer.Option(..., "--fold", min=0, help="The fold whose test part is held out."),
    out: Path = typer.Option(..., "--out", help="Folder for the judge; replaced if it exists."),
    similarities: Path | None = SIMILARITIES,
    student_scores: Path | None = STUDENTS,
    edits: Path | None = typer.Option(
        None, "--edits", help="The shop's changes to the lexicon, see `ellm teach lexicon`."
    ),
    without: list[str] = typer.Option(
        [], "--without", help="Leave out a feature family (aspects, similarity, …); repeatable."
    ),
) -> None:
    """Fit on a fold's train part and judge its labelled pairs, each held out."""
    from relevance.atomic import creating_folder
    from relevance.folds import read_folds
    from relevance.records import find_data_set, read_catalogue, read_pairs, write_judgements
    from teacher.fit_fold import FoldData, fit_fold
    from teacher.held_out_scores import JUDGEMENTS, WITHOUT_STUDENT
    from teacher.judge_pairs import measures, summary
    from teacher.lexicon_edits import read_edits
    from teacher.signal_files import read_signals

    files, assignment = find_data_set(data), read_folds(folds)
    pairs = read_pairs(files.pairs, labelled=True)
    items = {item.item_id: item for item in read_catalogue(files.items)}
    found = read_signals(similarities, student_scores)
    _say_missing(pairs, found)
    with creating_folder(out) as folder:
        fitted = fit_fold(
            FoldData(items, pairs, assignment, fold, found, read_edits(edits)),
            folder,
            without=frozenset(without),
            progress=_progress,
        )
        parts, alone = fitted.judged.parts, fitted.without_student
        write_judgements(folder / JUDGEMENTS, (j for part in parts.values() for j in part))
        if alone is not None:
            blind = (j for part in alone.parts.values() for j in part)
            write_judgements(folder / WITHOUT_STUDENT, blind)
    labels = {(pair.query, pair.item_id): bool(pair.good) for pair in pairs}
    for name, judgements in parts.items():
        typer.echo(f"{name}: {summary(judgements)}")
        if judgements:
            typer.echo(
                "  " + measures(judgements, [labels[j.query, j.item_id] for j in judgements])
            )
    typer.echo(f"judge and {JUDGEMENTS} written to {out}")


app.command()(judge)
app.command()(gate)
app.command()(lexicon)
app.command()(annotate)
app.command()(select)
app.command()(sample)
app.command()(measure)
app.command()(audit)


def _progress(pairs: Sequence["Pair"]) -> Iterable["Pair"]:
    from tqdm import tqdm

    return tqdm(pairs, unit="pair", disable=None)  # silent where nobody watches


def _say_missing(pairs: Sequence["Pair"], signals: "SignalTable") -> None:
    missing = sum((pair.query, pair.item_id) not in signals.rows for pair in pairs)
    if missing:
        typer.echo(f"{missing} of {len(pairs)} pairs have no similarities: judged without")
