"""`ellm train contested`: the part of a pool on which a student and its teacher disagree."""

from pathlib import Path

import typer


def contested(
    pool: Path = typer.Option(..., help="Unlabelled pairs that both have judged (Parquet)."),
    judgements: Path = typer.Option(..., help="The teacher's judgements of them (Parquet)."),
    student: Path = typer.Option(..., help="An earlier student's, from `ellm train judge`."),
    out: Path = typer.Option(..., help="Where the drawn pairs go (Parquet)."),
    share: float = typer.Option(0.5, max=1, help="Share of the pool to draw."),
    sharpness: float = typer.Option(
        1.0, help="Factor on the teacher's log-odds in the student's recipe."
    ),
    seed: int = typer.Option(0, help="Seed of the draw."),
) -> None:
    """Draw a pool's pairs with the distance of teacher's and student's log-odds as weight."""
    import numpy as np

    from relevance.records import read_pairs, write_pairs
    from trainer.contested import contested_pool, disagreement
    from trainer.fold_data import read_verdicts

    pairs = read_pairs(pool)
    gaps = disagreement(
        pairs, read_verdicts([judgements]), read_verdicts([student]), sharpness=sharpness
    )
    drawn = contested_pool(pairs, gaps, share=share, seed=seed)
    write_pairs(out, drawn)
    kept = {(pair.query, pair.item_id) for pair in drawn}
    of_drawn = [
        gap for pair, gap in zip(pairs, gaps, strict=True) if (pair.query, pair.item_id) in kept
    ]
    typer.echo(
        f"{len(drawn):,} of {len(pairs):,} pairs: {out}; mean distance {np.mean(of_drawn):.2f}, "
        f"{np.mean(gaps):.2f} over the whole pool"
    )
