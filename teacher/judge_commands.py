"""`ellm teach judge`: judgements of pairs by the catalogue judge or by a language model."""

import asyncio
import json
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from relevance.domain import Target
from teacher.online.llm.prompt import Guidance, ItemFields, Language, PromptStyle
from teacher.online.llm.wire import ReadBy

if TYPE_CHECKING:
    from teacher.judge_recipes import LLMRecipe
    from teacher.online.llm.client import Patience
    from teacher.online.llm.endpoints import Endpoint
    from teacher.online.llm.judge import JudgeOptions
    from teacher.online.llm.log_odds import LabelTokens

ENDPOINT = typer.Option(
    [],
    "--endpoint",
    help="[MODEL=]URL[,URL…] of an OpenAI-compatible server, say http://gpu1:8000/v1; repeatable.",
)
KEY = typer.Option("", "--api-key-env", help="Environment variable that holds the endpoints' key.")
LANGUAGE = typer.Option(Language.ENGLISH, "--language", help="Of the prompt.")
GUIDANCE = typer.Option(
    Guidance.FEW_SHOT, "--guidance", help="`tuned` for a model fine-tuned by `ellm teach sft`."
)
READS = typer.Option(ItemFields.SHORT, "--reads", help="What is read of an item.")
FREE = typer.Option(False, "--free", help="Do not bind the answer to its form.")
AT_ONCE = typer.Option(64, "--at-once", min=1, help="Pairs under way at a time.")
TIMEOUT = typer.Option(120.0, "--timeout", min=0.1, help="Seconds an engine may be silent.")
PATIENCE = typer.Option(900.0, "--patience", min=0, help="Seconds to wait for endpoints that rest.")
REQUESTS = typer.Option(
    0.0, "--requests-per-minute", min=0, help="Most requests an endpoint gets; 0: any number."
)
TOKENS = typer.Option(
    0.0, "--tokens-per-minute", min=0, help="Most tokens an endpoint reads and writes; 0: any."
)
MAX_TOKENS = typer.Option(384, "--max-tokens", min=1, help="Of each part of an answer.")


def judge(
    judge_folder: Path | None = typer.Option(
        None, "--judge", help="Folder written by `ellm teach fit`; or name an --endpoint."
    ),
    endpoint: list[str] = ENDPOINT,
    items: Path = typer.Option(..., "--items", help="Catalogue: Parquet, CSV or JSONL."),
    pairs: Path = typer.Option(..., "--pairs", help="Pairs to judge, labelled or not."),
    out: Path = typer.Option(
        ..., "--out", help="Folder for Parquet shards, or one .parquet file made of them."
    ),
    similarities: Path | None = typer.Option(
        None, "--similarities", help="Parquet with query, item_id and a column for each cosine."
    ),
    student_scores: Path | None = typer.Option(
        None, "--student-scores", help="Parquet with query, item_id and log-odds of students."
    ),
    target: list[Target] = typer.Option(
        [Target.COT, Target.DIRECT], "--target", help="`marginal`: mean over samples; repeatable."
    ),
    language: Language = LANGUAGE,
    guidance: Guidance = GUIDANCE,
    reads: ItemFields = READS,
    free: bool = FREE,
    read_by: ReadBy = typer.Option(
        ReadBy.LOGPROBS, "--read-by", help="The engine's route that log-odds are read from."
    ),
    label_tokens: str = typer.Option(
        "", "--label-tokens", help="GOOD,BAD token ids, where the server has no /tokenize."
    ),
    threshold: float = typer.Option(0.5, "--threshold", help="Probability from which it is Good."),
    uncertain: float = typer.Option(
        2.2, "--uncertain", min=0, help="`marginal` only for cot log-odds within ± this."
    ),
    samples: int = typer.Option(5, "--samples", min=1, help="Chains of thought of `marginal`."),
    temperature: float = typer.Option(1.0, "--temperature", min=0, help="Of drawing them."),
    folds: Path | None = typer.Option(None, "--folds", help="Folds of `ellm data folds`."),
    fold: int = typer.Option(0, "--fold", min=0, help="The fold the judge was held out of."),
    shard_pairs: int = typer.Option(
        0, "--shard-pairs", min=0, help="Pairs of a shard; 0: 4,096, or 16,384 for --judge."
    ),
    at_once: int = AT_ONCE,
    max_tokens: int = MAX_TOKENS,
    timeout: float = TIMEOUT,
    patience: float = PATIENCE,
    requests_per_minute: float = REQUESTS,
    tokens_per_minute: float = TOKENS,
    api_key_env: str = KEY,
    ray: str | None = typer.Option(
        None, "--ray", help="Place shards over the Ray cluster at this address; `local`: here."
    ),
    workers: int = typer.Option(2, "--workers", min=1, help="Ray workers."),
    price_input: float = typer.Option(0, "--price-input", help="Of a million tokens read."),
    price_output: float = typer.Option(0, "--price-output", help="Of a million tokens written."),
    price_hour: float = typer.Option(0, "--price-hour", help="Of an hour of all engines."),
    report: Path | None = typer.Option(None, "--report", help="Where the figures go (JSON)."),
    seed: int = typer.Option(0, "--seed", help="Of sampled chains of thought."),
) -> None:
    """Judge any pairs: pseudo-labels with reasons, by the catalogue judge or a language model.

    Pairs that carry a label count as seen, unless --folds and --fold say that the judge was held
    out of them. A stopped run goes on where it was: give the same command again.
    """
    from relevance.atomic import write_text
    from relevance.errors import BadInput
    from relevance.folds import read_folds
    from relevance.records import read_catalogue
    from teacher.judge_job import JudgeJob, run_job
    from teacher.judge_plan import HeldOut
    from teacher.judge_progress import Prices
    from teacher.judge_ray import Cluster
    from teacher.judge_recipes import CatalogueRecipe
    from teacher.online.llm.judge import JudgeOptions
    from teacher.signal_files import read_signals

    if (judge_folder is None) == (not endpoint):
        raise BadInput("teach judge: expected either --judge or --endpoint")
    recipe: CatalogueRecipe | LLMRecipe
    if judge_folder is not None:
        recipe = CatalogueRecipe(judge_folder, read_signals(similarities, student_scores))
    else:
        recipe = _llm_recipe(
            one_model(endpoint, api_key_env),
            JudgeOptions(
                targets=frozenset(target),
                style=PromptStyle(language, guidance, reads),
                structured=not free,
                read_by=read_by,
                threshold=threshold,
                uncertain=uncertain,
                samples=samples,
                temperature=temperature,
                max_tokens=max_tokens,
                seed=seed,
            ),
            patience_of(
                timeout,
                patience,
                (requests_per_minute, tokens_per_minute),
                clients=1 if ray is None else workers,
            ),
            label_tokens,
            at_once,
        )
    catalogue = {item.item_id: item for item in read_catalogue(items)}
    held_out = HeldOut(None if folds is None else read_folds(folds), fold)
    job = JudgeJob(recipe, pairs, catalogue, held_out, shard_pairs or recipe.shard_pairs)
    prices = Prices(price_input, price_output, price_hour)
    cluster = None if ray is None else Cluster(ray, workers)
    done = run_job(job, out, prices=prices, cluster=cluster)
    if report is not None:
        write_text(report, json.dumps(done.content(), indent=1) + "\n")
    typer.echo(f"{done.line()}\n{done.summary}; written to {out}")


def one_model(specs: Sequence[str], key_variable: str) -> "tuple[Endpoint, ...]":
    """The endpoints of one model; a server is asked for its model's name where none is given."""
    from relevance.errors import BadInput
    from teacher.online.llm.endpoints import read_endpoints

    found = read_endpoints(specs, key=key_of(key_variable))
    if len(found) != 1:
        raise BadInput(f"--endpoint: expected one model, got {', '.join(found)}")
    return asyncio.run(named(*found.values()))


def patience_of(
    timeout_s: float, patience_s: float, a_minute: tuple[float, float], *, clients: int = 1
) -> "Patience":
    """How endpoints are treated; so many clients share the requests and tokens of a minute."""
    from teacher.online.llm.client import Patience
    from teacher.online.llm.rate_limits import RateLimits
    from teacher.online.llm.retries import Retries

    limits = RateLimits(*a_minute).shared_by(clients)
    return Patience(timeout_s=timeout_s, retries=Retries(patience_s=patience_s), limits=limits)


def key_of(variable: str) -> str:
    """The key that an environment variable holds; raises `BadInput` where it is not set."""
    from relevance.errors import BadInput

    if variable and variable not in os.environ:
        raise BadInput(f"--api-key-env: expected the variable `{variable}` to be set, it is not")
    return os.environ.get(variable, "")


async def named(endpoints: "tuple[Endpoint, ...]") -> "tuple[Endpoint, ...]":
    """The same endpoints with the name of the model they serve."""
    from teacher.online.llm.client import LanguageModel

    if endpoints[0].model:
        return endpoints
    async with LanguageModel(endpoints) as model:
        name = await model.served_model()
    return tuple(replace(endpoint, model=name) for endpoint in endpoints)


def _llm_recipe(
    endpoints: "tuple[Endpoint, ...]",
    options: "JudgeOptions",
    patience: "Patience",
    label_ids: str,
    at_once: int,
) -> "LLMRecipe":
    from teacher.judge_recipes import LLMRecipe
    from teacher.judge_run import RunLimits

    labels = asyncio.run(_labels(endpoints, options, patience, label_ids))
    return LLMRecipe(endpoints, labels, options, patience, RunLimits(at_once=at_once))


async def _labels(
    endpoints: "tuple[Endpoint, ...]", options: "JudgeOptions", patience: "Patience", told: str
) -> "LabelTokens":
    """The labels' token ids, as told or as the engine's tokenizer has them."""
    from relevance.errors import BadInput
    from teacher.online.llm.client import LanguageModel
    from teacher.online.llm.log_odds import LabelTokens, label_tokens

    if told:
        numbers = told.split(",")
        if len(numbers) != 2 or not all(number.strip().isdigit() for number in numbers):
            raise BadInput(f"--label-tokens: expected two token ids like 15216,10789, got {told!r}")
        return LabelTokens(*(int(number) for number in numbers))
    async with LanguageModel(endpoints, patience=patience) as model:
        return await label_tokens(model, style=options.style)
