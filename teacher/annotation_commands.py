"""`ellm teach annotate` and `ellm teach select`: from labelled pairs to chains to learn from."""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from teacher.judge_commands import (
    AT_ONCE,
    FREE,
    GUIDANCE,
    KEY,
    LANGUAGE,
    MAX_TOKENS,
    PATIENCE,
    READS,
    REQUESTS,
    TIMEOUT,
    TOKENS,
    key_of,
    named,
    patience_of,
)
from teacher.online.llm.prompt import Guidance, ItemFields, Language, PromptStyle

if TYPE_CHECKING:
    from teacher.annotation import Annotator
    from teacher.llm_annotator import AnnotatorOptions, LLMAnnotator


def annotate(
    judge_folder: Path | None = typer.Option(
        None, "--judge", help="Folder written by `ellm teach fit`: annotate without a model."
    ),
    endpoint: list[str] = typer.Option(
        [],
        "--endpoint",
        help="MODEL=URL[,URL…] of an OpenAI-compatible server; repeatable, one annotator a model. "
        "Without --judge the default is Qwen2-72B-Instruct at port 8000 and Llama-3-70B-Instruct "
        "at port 8001 of this machine.",
    ),
    items: Path = typer.Option(..., "--items", help="Catalogue: Parquet, CSV or JSONL."),
    pairs: Path = typer.Option(..., "--pairs", help="Labelled pairs."),
    out: Path = typer.Option(..., "--out", help="Folder for the samples; a stopped run goes on."),
    samples: int = typer.Option(5, "--samples", min=1, help="Samples of each annotator."),
    temperature: float = typer.Option(0.8, "--temperature", min=0, help="Of drawing a token."),
    top_p: float = typer.Option(0.7, "--top-p", min=0.01, max=1, help="Share of likely tokens."),
    top_k: int = typer.Option(50, "--top-k", min=0, help="Number of likely tokens; 0: all."),
    language: Language = LANGUAGE,
    guidance: Guidance = GUIDANCE,
    reads: ItemFields = READS,
    free: bool = FREE,
    at_once: int = AT_ONCE,
    max_tokens: int = MAX_TOKENS,
    timeout: float = TIMEOUT,
    patience: float = PATIENCE,
    requests_per_minute: float = REQUESTS,
    tokens_per_minute: float = TOKENS,
    api_key_env: str = KEY,
    seed: int = typer.Option(0, "--seed", help="Seed of what is dropped and drawn."),
) -> None:
    """Let annotators write chains of thought about labelled pairs: language models, or the
    catalogue judge's two."""
    from tqdm import tqdm

    from relevance.errors import BadInput
    from relevance.records import read_catalogue, read_pairs
    from teacher.annotation import annotate_pairs, read_costs
    from teacher.catalogue_annotators import catalogue_annotators
    from teacher.llm_annotator import AnnotatorOptions
    from teacher.online.catalogue import CatalogueJudge
    from teacher.online.llm.wire import Sampling

    if judge_folder is not None and endpoint:
        raise BadInput("teach annotate: expected --judge or --endpoint, got both")
    asked = read_pairs(pairs, labelled=True)
    catalogue = {item.item_id: item for item in read_catalogue(items)}
    annotators: Sequence[Annotator]
    if judge_folder is not None:
        annotators = catalogue_annotators(CatalogueJudge.read(judge_folder), seed=seed)
    else:
        options = AnnotatorOptions(
            style=PromptStyle(language, guidance, reads),
            sampling=Sampling(temperature, top_p, top_k, samples, max_tokens, seed),
            structured=not free,
            at_once=at_once,
            patience=patience_of(timeout, patience, (requests_per_minute, tokens_per_minute)),
        )
        annotators = _llm_annotators(endpoint, key_of(api_key_env), options)
    with tqdm(total=len(asked), unit="pair", disable=None) as progress:
        for done in annotate_pairs(asked, catalogue, annotators, out, samples=samples):
            progress.update(done - progress.n)
    for name, costs in read_costs(out).items():
        if costs:
            typer.echo(f"{name}: {', '.join(f'{n:,} {what}' for what, n in costs.items())}")
    typer.echo(f"{len(asked):,} pairs, {samples} samples of {len(annotators)} annotators: {out}")


def _llm_annotators(
    specs: Sequence[str], key: str, options: "AnnotatorOptions"
) -> "tuple[LLMAnnotator, ...]":
    from teacher.llm_annotator import LLMAnnotator
    from teacher.online.llm.endpoints import DEFAULT_ENDPOINTS, read_endpoints

    found = read_endpoints(specs or DEFAULT_ENDPOINTS, key=key)
    each = [asyncio.run(named(endpoints)) for endpoints in found.values()]
    return tuple(LLMAnnotator(endpoints, options) for endpoints in each)


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
    from teacher.annotation import read_annotations, read_costs
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
    costs = {name: dict(sums) for name, sums in read_costs(annotations).items() if sums}
    told = json.dumps(counts.content() | {"costs": costs}, indent=2)
    if statistics is not None:
        write_text(statistics, told + "\n")
    typer.echo(told)
    typer.echo(f"{len(rows):,} chains to learn from: {out}")
