"""`ellm bench export`: precisions, item codecs and MaxSim, as tables and as JSON."""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from exporter.benchmark.codec_bench import CodecRow
    from exporter.benchmark.precision_bench import PrecisionRow

LEAST_ARENA = 1 << 30  # bytes: large enough that no cache holds it


def export_command(
    checkpoint: Path = typer.Option(None, help="Folder of a student's checkpoint."),
    data: Path = typer.Option(None, help="Prefix of the data set's files."),
    folds: Path = typer.Option(None, help="The folds file of `ellm data folds`."),
    fold: int = typer.Option(0, min=0, help="Validation part: precisions. Test part: codecs."),
    arena_bytes: int = typer.Option(LEAST_ARENA, min=1 << 20, help="Of the MaxSim benchmark."),
    turns: int = typer.Option(60, min=5, help="Turns of each contestant."),
    out: Path = typer.Option(Path("build/bench/export"), help="Folder of the tables."),
) -> None:
    """Compare precisions, codecs and MaxSim kernels; without --checkpoint MaxSim alone."""
    import json
    from dataclasses import asdict

    from exporter.benchmark import tables
    from exporter.benchmark.maxsim_bench import bench_maxsim
    from relevance.atomic import write_text

    result: dict[str, object] = {"machine": tables.machine()}
    pages = []
    if checkpoint is not None:
        precisions, codecs = _student_benches(checkpoint, data, folds, fold, turns)
        result["precisions"] = [asdict(row) for row in precisions]
        result["codecs"] = [asdict(row) for row in codecs]
        pages += [tables.precision_table(precisions), tables.codec_table(codecs)]
    maxsim = bench_maxsim(arena_bytes=arena_bytes, turns=turns)
    result["maxsim"] = asdict(maxsim)
    pages.append(tables.maxsim_table(maxsim))
    page = "\n\n".join(pages) + "\n"
    write_text(out / "export.json", json.dumps(result, indent=2) + "\n")
    write_text(out / "export.md", page)
    typer.echo(page)
    typer.echo(f"{tables.machine()}: {out}")


def _student_benches(
    checkpoint: Path, data: Path | None, folds: Path | None, fold: int, turns: int
) -> "tuple[list[PrecisionRow], list[CodecRow]]":
    from exporter.attempt import CalibrationPairs
    from exporter.benchmark.codec_bench import bench_codecs
    from exporter.benchmark.precision_bench import bench_precisions
    from relevance.errors import BadInput
    from relevance.folds import read_folds, split
    from relevance.records import find_data_set, read_catalogue, read_pairs
    from trainer.students.checkpoint import read_checkpoint

    if data is None or folds is None:
        raise BadInput("options: expected --data and --folds beside --checkpoint")
    found = find_data_set(data)
    parts = split(read_folds(folds), read_pairs(found.pairs, labelled=True), fold=fold)
    catalogue = {item.item_id: item for item in read_catalogue(found.items)}
    student = read_checkpoint(checkpoint)
    return (
        bench_precisions(student, CalibrationPairs(parts.validation, catalogue), turns=turns),
        bench_codecs(student, CalibrationPairs(parts.test, catalogue), turns=turns),
    )
