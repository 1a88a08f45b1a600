"""`ellm teach sample`: which pairs a large model should judge."""

from pathlib import Path

import typer


def sample(
    pairs: Path = typer.Option(..., "--pairs", help="Pairs to draw from, say a pool or a log's."),
    out: Path = typer.Option(..., "--out", help="Parquet file of the pairs that were drawn."),
    number: int = typer.Option(..., "--number", min=1, help="How many pairs to draw."),
    query_log: Path | None = typer.Option(
        None, "--query-log", help="Queries with unique visitors: head and tail drawn alike."
    ),
    judgements: Path | None = typer.Option(
        None, "--judgements", help="A cheap teacher's judgements, say the catalogue judge's."
    ),
    student_scores: Path | None = typer.Option(
        None, "--student-scores", help="Parquet with query, item_id and one column of log-odds."
    ),
    seed: int = typer.Option(0, "--seed", help="Seed of the draw."),
) -> None:
    """Draw pairs for a large model, evenly over head and tail and teacher-student disagreement."""
    import numpy as np

    from relevance.errors import BadInput
    from relevance.late_interaction import sigmoid
    from relevance.records import read_judgements, read_query_log
    from teacher.judgement_stream import stream_pairs
    from teacher.pair_sampling import Strata, draw_pairs, write_drawn
    from teacher.signal_files import read_signals

    if (judgements is None) != (student_scores is None):
        raise BadInput("teach sample: disagreement needs --judgements and --student-scores")
    teacher = student = None
    if judgements is not None:
        teacher = {
            (j.query, j.item_id): float(sigmoid(np.array(j.log_odds)))
            for j in read_judgements(judgements)
        }
        signals = read_signals(None, student_scores)
        if len(signals.students) != 1:
            raise BadInput(
                f"{student_scores}: expected one column of scores, got {len(signals.students)}"
            )
        (column,) = signals.students
        student = {
            key: float(sigmoid(np.array(row.students[column]))) for key, row in signals.rows.items()
        }
    visitors = None if query_log is None else read_query_log(query_log)
    drawn = draw_pairs(
        stream_pairs(pairs), Strata(visitors, teacher, student), number=number, seed=seed
    )
    write_drawn(out, drawn)
    for stratum, taken in drawn.taken.items():
        typer.echo(f"{stratum}: {taken:,} of {drawn.of[stratum]:,}")
    typer.echo(f"{len(drawn.pairs):,} pairs: {out}")
