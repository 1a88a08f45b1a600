"""`ellm audit`: draws pairs for people to judge, and reads an experiment's outcome.

Nothing is imported before a command runs: every `ellm --help` loads this file.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from relevance.experiments.goodrate import Compared
    from relevance.experiments.plan import Experiment

PLAN = typer.Option(..., help="The service's file of experiments: which shares were meant.")
EXPERIMENT = typer.Option(None, help="Which experiment; needless where there is one.")
QUERY_LOG = typer.Option(None, help="Visitors per query, to tell head from tail.")
FOLDER = typer.Option(Path("build/audit"), help="Folder of results.")

app = typer.Typer(
    no_args_is_help=True, help="Read an experiment: Goodrate from a human audit, CTR, an A/A test."
)


@app.command()
def sample(
    log: Path = typer.Argument(..., help="The service's pair log (a folder)."),
    out: Path = typer.Argument(..., help="Prefix of `…_pairs.csv` and `…_design.parquet`."),
    plan: Path = PLAN,
    experiment: str | None = EXPERIMENT,
    pairs: int = typer.Option(500, min=10, help="Pairs to draw for each variant, about."),
    top: int = typer.Option(10, min=1, help="Only items shown in the first so many places."),
    query_log: Path | None = QUERY_LOG,
    items: Path | None = typer.Option(None, help="Catalogue, to show titles to whoever judges."),
    seed: int = typer.Option(0, help="Another one draws other pairs."),
) -> None:
    """Draw a stratified, deduplicated set of shown pairs for people to judge, in the trainer's
    pair format.
    """
    from relevance.experiments.audit_files import write_pairs_to_judge
    from relevance.experiments.audit_sample import draw, write_design
    from relevance.experiments.exposures import (
        experiment_rows,
        exposures,
        keys_by_variant,
        logged_keys,
    )
    from relevance.experiments.pair_log import read_pair_log
    from relevance.experiments.sample_ratio import refuse_mismatch, sample_ratio
    from relevance.records import read_catalogue, read_query_log

    described = _described(plan, experiment)
    files = read_pair_log(log)
    for path in files.unreadable:
        typer.echo(f"left out, not readable: {path}", err=True)
    rows = experiment_rows(files.table, described.name)
    refuse_mismatch(sample_ratio(keys_by_variant(logged_keys(rows))[0], described.shares))
    shown = exposures(rows, top=top)
    visitors = shown.visitors if query_log is None else read_query_log(query_log)
    drawn = draw(shown, experiment=described.name, visitors=visitors, pairs=pairs, seed=seed)
    titles = {} if items is None else {one.item_id: one.title for one in read_catalogue(items)}
    write_design(Path(f"{out}_design.parquet"), drawn)
    distinct = write_pairs_to_judge(Path(f"{out}_pairs.csv"), drawn, titles)
    typer.echo(f"{len(shown):,} pairs shown, {len(drawn):,} drawn, {distinct:,} to judge")
    typer.echo(f"fill in `good` (1 or 0) in {out}_pairs.csv, then: ellm audit goodrate {out}")


@app.command()
def goodrate(
    sample: Path = typer.Argument(..., help="The prefix `ellm audit sample` wrote to."),
    judged: Path | None = typer.Option(None, help="The judged pairs, if they lie elsewhere."),
    out: Path = FOLDER,
) -> None:
    """Estimate each variant's Goodrate and the difference, with intervals, head and tail apart."""
    from relevance.experiments.audit_files import read_judged, write_result
    from relevance.experiments.audit_sample import read_design
    from relevance.experiments.goodrate import goodrate as estimated

    labels = read_judged(judged or Path(f"{sample}_pairs.csv"))
    found = estimated(read_design(Path(f"{sample}_design.parquet")), labels)
    write_result(out / "goodrate.json", "goodrate", found)
    if found.unjudged:
        typer.echo(
            f"{found.unjudged:,} of {found.drawn:,} pairs are not judged, left out", err=True
        )
    _show("Goodrate", found.segments)


@app.command()
def ctr(
    clicks: Path = typer.Argument(
        ..., help="Rows of experiment_key, variant, clicks, and impressions, query."
    ),
    plan: Path = PLAN,
    experiment: str | None = EXPERIMENT,
    query_log: Path | None = QUERY_LOG,
    out: Path = FOLDER,
) -> None:
    """Compare click-through rates, shoppers as clusters; a sample-ratio mismatch is refused."""
    from relevance.experiments.audit_files import write_result
    from relevance.experiments.clicks import click_rates, read_clicks
    from relevance.records import read_query_log

    described = _described(plan, experiment)
    found = click_rates(
        read_clicks(clicks, experiment=described.name),
        experiment=described.name,
        shares=described.shares,
        visitors=None if query_log is None else read_query_log(query_log),
    )
    write_result(out / "ctr.json", "ctr", found)
    _show("CTR", found.segments)


@app.command()
def aa(
    clicks: Path = typer.Argument(..., help="A click log; its variants are ignored."),
    splits: int = typer.Option(1000, min=100, help="How often to split the shoppers in two."),
    seed: int = typer.Option(0, help="Another one splits otherwise."),
    out: Path = FOLDER,
) -> None:
    """Test the analysis on shoppers split in two, where no difference can be."""
    from relevance.errors import GateRefused
    from relevance.experiments.audit_files import write_result
    from relevance.experiments.clicks import read_clicks
    from relevance.experiments.same_twice import LEVEL, same_twice

    found = same_twice(read_clicks(clicks), splits=splits, seed=seed)
    write_result(out / "aa.json", "aa", found)
    typer.echo(
        f"{found.keys:,} shoppers, {found.splits:,} splits: {found.false_positives:.1%} look like "
        f"a difference at {LEVEL:.0%} (chance: {found.low:.1%} to {found.high:.1%}); "
        f"{found.naive_false_positives:.1%} if impressions counted as independent"
    )
    if not found.is_honest:
        raise GateRefused("A/A: the analysis sees differences where there are none")


@app.command()
def report(
    results: Path = typer.Argument(Path("build/audit"), help="Folder the commands above wrote to."),
    out: Path | None = typer.Option(None, help="The page; report.html in that folder."),
) -> None:
    """Show all results on one HTML page that asks no other host for anything."""
    from relevance.atomic import write_text
    from relevance.experiments.report import render_results

    page = out or results / "report.html"
    write_text(page, render_results(results))
    typer.echo(str(page))


def _described(plan: Path, experiment: str | None) -> "Experiment":
    from relevance.errors import BadInput
    from relevance.experiments.plan import read_plan

    found = read_plan(plan)
    if experiment is not None:
        return found.experiment(experiment)
    if len(found.experiments) != 1:
        names = ", ".join(one.name for one in found.experiments) or "none"
        raise BadInput(f"{plan}: expected one experiment or --experiment, got {names}")
    return found.experiments[0]


def _show(what: str, segments: "tuple[Compared, ...]") -> None:
    typer.echo(f"{what:<10}{'variant':<20}{'rate':>8}   {'95 % interval':<18}{'units':>8}")
    for part in segments:
        for name, rate in part.rates.items():
            interval = f"{rate.low:.2%} to {rate.high:.2%}"
            typer.echo(
                f"{part.segment:<10}{name:<20}{rate.value:8.2%}   {interval:<18}{rate.units:>8,}"
            )
        for name, gap in part.differences.items():
            interval = f"{100 * gap.low:+.2f} to {100 * gap.high:+.2f}"
            points = f"{100 * gap.value:+.2f}"
            typer.echo(f"{'':<10}{name + ' − control':<20}{points:>8}   {interval:<18} points")
