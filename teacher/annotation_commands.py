"""`ellm teach annotate` and `ellm teach select`: from labelled pairs to chains to learn from."""

import json
from pathlib import Path

import typer


def annotate(
    judge_folder: Path = typer.Option(..., "--judge", help="Folder written by `ellm teach fit`."),
    items: Path = typer.Option(..., "--items", help="Catalogue: Parquet, CSV or JSONL."),
    pairs: Path = typer.Option(..., "--pairs", help="Labelled pairs."),
    out: Path = typer.Option(..., "--out", help="Folder for the samples; a stopped run goes on."),
    samples: int = typer.Option(5, "--samples", min=1, help="Samples of each annotator."),
    seed: int = typer.Option(0, "--seed", help="Seed of what is dropped and drawn."),
) -> None:
    """Let two catalogue annotators write chains of thought about labelled pairs."""
    from tqdm import tqdm

    from relevance.records import read_catalogue, read_pairs
    from teacher.annotation import annotate_pairs
    from teacher.catalogue_annotators import catalogue_annotators
    from teacher.online.catalogue import CatalogueJudge

    asked = read_pairs(pairs, labelled=True)
    catalogue = {item.item_id: item for item in read_catalogue(items)}
    annotators = catalogue_annotators(CatalogueJudge.read(judge_folder), seed=seed)
    with tqdm(total=len(asked), unit="pair", disable=None) as progress:
        for done in annotate_pairs(asked, catalogue, annotators, out, samples=samples):
            progress.update(done - progress.n)
    typer.echo(f"{len(asked):,} pairs, {samples} samples of {len(annotators)} annotators: {out}")


def select(
    annotations: Path = typer.Option(..., "--annotations", help="Folder of `ellm teach annotate`."),
    pairs: Path = typer.Option(..., "--pairs", help="The labelled pairs that were annotated."),
    out: Path = typer.Option(..., "--out", help="Parquet file of chains to learn from."),
    statistics: Path | None = typer.Option(None, "--statistics", help="Where the counts go (JSON)"),
) -> None:
    """Keep of each pair the label-consistent sample whose verdicts the others share most."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from relevance.atomic import replacing_file, write_text
    from relevance.errors import BadInput
    from relevance.records import read_pairs
    from teacher.annotation import read_annotations
    from teacher.selection import Dropped, Statistics, selected_row

    labels = {(p.query, p.item_id): bool(p.good) for p in read_pairs(pairs, labelled=True)}
    counts, rows = Statistics(), []
    for annotated in read_annotations(annotations):
        key = (annotated.query, annotated.item_id)
        if key not in labels:
            raise BadInput(f"{pairs}: expected a label of the annotated pair {key}, found none")
        found = counts.add(annotated, good=labels[key])
        if not isinstance(found, Dropped):
            rows.append(selected_row(annotated, found, good=labels[key]))
    if not rows:
        raise BadInput(f"{annotations}: expected at least one label-consistent sample, found none")
    with replacing_file(out) as temporary:
        pq.write_table(pa.Table.from_pylist(rows), temporary, compression="zstd")
    told = json.dumps(counts.content(), indent=2)
    if statistics is not None:
        write_text(statistics, told + "\n")
    typer.echo(told)
    typer.echo(f"{len(rows):,} chains to learn from: {out}")
