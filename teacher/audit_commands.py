"""`ellm teach audit`: where labels, teacher and student disagree, as a page and as JSON."""

import json
from pathlib import Path

import typer


def audit(
    data: Path = typer.Option(..., "--data", help="Prefix of the labelled data set."),
    judgements: list[Path] = typer.Option(
        ..., "--judgements", help="Judgements: a file or a folder of shards; repeatable."
    ),
    out: Path = typer.Option(..., "--out", help="Folder for audit.html and audit.json."),
    student_scores: list[Path] = typer.Option(
        [], "--student-scores", help="What `ellm evaluate scores` wrote; repeat for more folds."
    ),
    known: list[Path] = typer.Option(
        [], "--known", help="Judgements that are right: measures the ranking of label errors."
    ),
    target: str = typer.Option("direct", "--target", help="direct, cot or marginal."),
    judge: str | None = typer.Option(None, "--judge", help="Which judge, if there are several."),
    with_seen: bool = typer.Option(
        False, "--with-seen", help="Use judgements whose judge had seen the label, too."
    ),
    labels: int = typer.Option(50, "--labels", min=0, help="How many suspected labels to list."),
    queries: int = typer.Option(20, "--queries", min=0, help="How many worst queries to list."),
    samples: int = typer.Option(5, "--samples", min=0, help="Samples of a kind, aspect or query."),
) -> None:
    """Rank suspected label errors; show disagreement by aspect, head and tail, and query."""
    from relevance.atomic import write_text
    from relevance.domain import Target
    from relevance.errors import BadInput
    from teacher.audit.content import Amounts, audit_content
    from teacher.audit.page import render_page
    from teacher.audit.sources import Sources, join, read_known

    if target not in tuple(Target):
        raise BadInput(f"--target: expected one of {', '.join(Target)}, got `{target}`")
    joined = join(
        Sources(
            data=data,
            judgements=judgements,
            student_scores=student_scores,
            target=Target(target),
            judge=judge,
            with_seen=with_seen,
        )
    )
    amounts = Amounts(label_errors=labels, queries=queries, samples=samples)
    content = audit_content(joined, known=read_known(known), amounts=amounts)
    page = render_page(content)
    write_text(out / "audit.json", json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    write_text(out / "audit.html", page)
    counts = content["counts"]
    typer.echo(f"{counts['judged']:,} pairs compared, {counts['with_student']:,} with a student")
    if counts["seen"] or counts["not_judged"]:
        typer.echo(f"left out: {counts['seen']:,} seen, {counts['not_judged']:,} not judged")
    for row in content["decisions"]:
        if row["kind"] != "agreed":
            said = f"human {row['human']}, teacher {row['teacher']}, student {row['student']}"
            typer.echo(f"{row['pairs']:6,}  {row['kind']}: {said}")
    measured = content["label_errors"]["measured"]
    for row in [] if measured is None else measured["precision_at"]:
        typer.echo(f"of the first {row['k']:,} suspected labels {row['teacher']:.0%} are wrong")
    typer.echo(f"{out}/audit.html, {out}/audit.json")
