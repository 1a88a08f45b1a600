"""`ellm demo`: the main job end to end, on the sample shop or on your own data."""

from pathlib import Path

import typer

app = typer.Typer(help="Run the main job end to end: teach, train, export, refresh, serve.")


@app.callback(invoke_without_command=True)
def demo(
    data: Path | None = typer.Option(None, help="Prefix of your data set; default: a sample shop."),
    out: Path = typer.Option(Path("build/demo"), help="Folder of everything the demo writes."),
    folds: int = typer.Option(0, min=0, help="Outer folds to run; 0: one on the shop, else all."),
    steps: int = typer.Option(0, min=0, help="Optimiser steps of each student; 0: the default."),
    max_queries: int | None = typer.Option(
        None,
        min=0,
        help="Unlabelled queries of the pool at most; 0: all. By default the shop's all, 4,000 "
        "of your own.",
    ),
    shop_option: list[str] = typer.Option([], help="An option for `ellm data sample-shop`."),
) -> None:
    """Make or read a data set, distil a student from a teacher, serve it and ask it."""
    from relevance.demo.run import DemoOptions, run_demo

    run_demo(
        DemoOptions(
            data=data,
            out=out,
            folds=folds,
            steps=steps,
            max_queries=max_queries,
            shop_options=tuple(shop_option),
        ),
        say=typer.echo,
    )
