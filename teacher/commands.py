"""`ellm teach`: fit the catalogue teacher, judge pairs with it, look into its lexicon.

Only the command line lives here; heavy imports stay inside the commands so that --help is quick.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from teacher.gate_commands import gate

if TYPE_CHECKING:
    from relevance.records import Pair

app = typer.Typer(
    help="Fit the catalogue teacher, judge pairs with it, look into its lexicon.",
    no_args_is_help=True,
)
app.command()(gate)

JUDGE = typer.Option(..., "--judge", help="Folder written by `ellm teach fit`.")
SIMILARITIES = typer.Option(
    None,
    "--similarities",
    help="Parquet with query, item_id, mean_maxsim_title, mean_maxsim_text, cosine_title and "
    "cosine_text; pairs it lacks are judged without.",
)


@app.command()
def fit(
    data: Path = typer.Option(..., "--data", help="Prefix of the data set: <prefix>_items, …"),
    folds: Path = typer.Option(..., "--folds", help="Folds written by `ellm data folds`."),
    fold: int = typer.Option(..., "--fold", min=0, help="The fold whose test part is held out."),
    out: Path = typer.Option(..., "--out", help="Folder for the judge; replaced if it exists."),
    similarities: Path | None = SIMILARITIES,
    without: list[str] = typer.Option(
        [], "--without", help="Leave out a feature family (aspects, similarity, …); repeatable."
    ),
) -> None:
    """Fit on a fold's train part and judge its labelled pairs, each held out."""
    from relevance.atomic import creating_folder
    from relevance.folds import read_folds
    from relevance.records import find_data_set, read_catalogue, read_pairs, write_judgements
    from teacher.fit_fold import FoldData, fit_fold
    from teacher.held_out_scores import JUDGEMENTS
    from teacher.judge_pairs import measures, summary
    from teacher.similarity_file import read_similarities

    files, assignment = find_data_set(data), read_folds(folds)
    pairs = read_pairs(files.pairs, labelled=True)
    items = {item.item_id: item for item in read_catalogue(files.items)}
    found = read_similarities(similarities)
    _say_missing(pairs, found.keys())
    with creating_folder(out) as folder:
        judged = fit_fold(
            FoldData(items, pairs, assignment, fold, found),
            folder,
            without=frozenset(without),
            progress=_progress,
        )
        parts = {
            "train, held out": judged.train,
            "validation": judged.validation,
            "test (look once, choose nothing by it)": judged.test,
        }
        write_judgements(folder / JUDGEMENTS, (j for part in parts.values() for j in part))
    labels = {(pair.query, pair.item_id): bool(pair.good) for pair in pairs}
    for name, judgements in parts.items():
        typer.echo(f"{name}: {summary(judgements)}")
        if judgements:
            typer.echo(
                "  " + measures(judgements, [labels[j.query, j.item_id] for j in judgements])
            )
    typer.echo(f"judge and {JUDGEMENTS} written to {out}")


@app.command()
def judge(
    judge_folder: Path = JUDGE,
    items: Path = typer.Option(..., "--items", help="Catalogue: Parquet, CSV or JSONL."),
    pairs: Path = typer.Option(..., "--pairs", help="Pairs to judge, labelled or not."),
    out: Path = typer.Option(..., "--out", help="Parquet file for the judgements."),
    similarities: Path | None = SIMILARITIES,
) -> None:
    """Judge any pairs: pseudo-labels with reasons.

    Pairs that carry a label count as seen, since nothing here tells whether the judge was fitted
    on them; the held-out judgements of labelled pairs come from `fit`.
    """
    from relevance.records import read_catalogue, read_pairs, write_judgements
    from teacher.judge_pairs import judge_pairs, summary
    from teacher.online.catalogue import CatalogueJudge
    from teacher.similarity_file import read_similarities

    catalogue_judge, asked = CatalogueJudge.read(judge_folder), read_pairs(pairs)
    catalogue = {item.item_id: item for item in read_catalogue(items)}
    found = read_similarities(similarities)
    _say_missing(asked, found.keys())
    judgements = list(judge_pairs(catalogue_judge, _progress(asked), catalogue, found))
    write_judgements(out, judgements)
    typer.echo(f"{summary(judgements)}; written to {out}")


@app.command()
def lexicon(
    judge_folder: Path = JUDGE,
    samples: int = typer.Option(8, "--samples", min=0, help="Terms shown of each aspect."),
) -> None:
    """Show what the teacher's lexicon knows: how many terms of each aspect, and a few of them."""
    from teacher.online.lexicon import read_lexicon

    known = read_lexicon(judge_folder)
    typer.echo(f"{known.documents} items, {len(known.document_frequencies)} words in two or more")
    for aspect, terms in known.terms.items():
        shown = list(terms)[:: max(1, len(terms) // max(samples, 1))][:samples]
        typer.echo(f"{aspect:18}{len(terms):6} terms  {', '.join(shown)}")
    typer.echo(f"{'departments':18}{len(known.departments):6}")
    typer.echo(f"{'attributes':18}{len(known.attributes):6} names")


def _progress(pairs: Sequence["Pair"]) -> Iterable["Pair"]:
    from tqdm import tqdm

    return tqdm(pairs, unit="pair", disable=None)  # silent where nobody watches


def _say_missing(pairs: Sequence["Pair"], known: Iterable[tuple[str, str]]) -> None:
    keys = set(known)
    missing = sum((pair.query, pair.item_id) not in keys for pair in pairs)
    if missing:
        typer.echo(f"{missing} of {len(pairs)} pairs have no similarities: judged without")
