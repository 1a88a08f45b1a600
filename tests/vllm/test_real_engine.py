"""The language-model teacher from annotation to `/explain`, on the real engine (`make test-vllm`).

Writes `build/vllm/table.md`. The table's models are small and know one invented shop: they show
that the road holds, not how good a large model would be.
"""

import asyncio
import json
from pathlib import Path

import pytest

from relevance.chain_of_thought import JUDGEMENT_HEADING, parse, render
from relevance.domain import Target, clip_log_odds
from relevance.records import read_judgements, read_pairs
from teacher.online.llm.client import LanguageModel
from teacher.online.llm.endpoints import Endpoint
from teacher.online.llm.log_odds import label_tokens, read_log_odds
from teacher.online.llm.prompt import Mode, prompt
from teacher.online.llm.wire import ReadBy
from tests.vllm.checks import LEAST, shortfalls
from tests.vllm.distil import distilled_store, explained
from tests.vllm.proof import PLACE, TUNED, Shops, ellm
from tests.vllm.shops import first_queries
from tests.vllm.side_by_side import Judged, Row, table_of, token_reports, write_table
from tests.vllm.small_model import STYLE

pytestmark = [pytest.mark.slow, pytest.mark.network]
COMPARED_LOG_ODDS = 12  # pairs


@pytest.fixture(scope="module")
def rows(models: dict[str, Path], judged: Judged, address: str) -> dict[str, Row]:
    found = table_of(models, judged, address)
    write_table(found)
    return {row.judge: row for row in found}


def test_the_tuned_model_judges_unseen_queries(rows: dict[str, Row]) -> None:
    """ROC-AUC, grounding and the product aspect reach their least values.

    The judgement is the mean over drawn chains of thought: a small model is often unsure of a
    verdict, and its likeliest chain doesn't show that.
    """
    measures = rows["marginal"].measures

    assert measures is not None
    assert shortfalls(measures) == []


def test_every_answer_bound_by_grammar_parses(rows: dict[str, Row]) -> None:
    """Of a model that never learnt to end, those that were not cut off."""
    tuned, zero = rows["cot"], rows["zero"]

    assert tuned.measures is not None
    assert tuned.measures.parsed == 1.0
    assert zero.measures is not None
    assert zero.report is not None
    unparsed = zero.pairs - round(zero.measures.parsed * zero.pairs)
    assert unparsed == zero.report["faults"].get("truncated", 0)
    assert set(zero.report["faults"]) <= {"truncated"}


def test_free_running_answers_parse(rows: dict[str, Row]) -> None:
    """Without a grammar the tuned model keeps to the form by itself."""
    parsed = rows["cot, free-running"].free_parsed

    assert parsed is not None
    assert parsed >= LEAST["parsed"]


def test_a_model_that_learnt_nothing_fails_the_checks(rows: dict[str, Row]) -> None:
    """Well-formed words are not enough."""
    measures = rows["zero"].measures

    assert measures is not None
    assert {said.partition(":")[0] for said in shortfalls(measures)} >= {"roc_auc", "product_f1"}


def test_the_cache_holds_what_prompts_share(shops: Shops, address: str) -> None:
    """Instructions and examples are computed once, not once a pair."""
    found = token_reports(shops, address)

    examples, tuned = (found[f"{name}, judgement alone"] for name in ("few_shot", "tuned"))
    assert examples["prompt_tokens_per_pair"] > 10 * tuned["prompt_tokens_per_pair"]
    assert examples["prefix_cache_hit_rate"] > 0.8
    assert found["tuned, chain of thought, bound"]["prefix_cache_hit_rate"] > 0.3


def test_log_odds_over_http_are_those_of_transformers(
    models: dict[str, Path], judged: Judged, address: str
) -> None:
    """On the same tokens, in float32, at once and after a chain of thought, by both routes."""
    pairs = read_pairs(judged.shops.judged)[:COMPARED_LOG_ODDS]
    chains = {
        (j.query, j.item_id): j.chain_of_thought
        for j in read_judgements(PLACE / "cot.parquet")
        if j.chain_of_thought is not None
    }
    asked = []
    for pair in pairs:
        query, item = pair.query, judged.items[pair.item_id]
        reasoned = render(chains[query, pair.item_id]).rpartition(JUDGEMENT_HEADING)[0]
        direct = prompt(query, item, mode=Mode.DIRECT, style=STYLE)
        asked.append((direct, JUDGEMENT_HEADING))
        cot = prompt(query, item, mode=Mode.COT, style=STYLE)
        asked.append((cot, reasoned + JUDGEMENT_HEADING))

    served, tokens, labels = asyncio.run(_served_log_odds(address, asked))
    ours = _log_odds_of_transformers(models["cot"], tokens, labels)

    for by_route in served:
        assert by_route == pytest.approx(ours, abs=1e-2)


def test_the_tuned_model_annotates(judged: Judged, address: str) -> None:
    """Samples over HTTP go through selection like any annotator's."""
    pairs, samples = PLACE / "annotated_pairs.parquet", PLACE / "samples-http"
    asked = first_queries(judged.shops.judged, pairs, most=32)

    ellm(
        *("teach", "annotate", "--endpoint", address, "--pairs", pairs, "--out", samples),
        *("--items", f"{judged.shops.unseen}_items.parquet", "--samples", 3, *TUNED),
    )
    counts = PLACE / "selection-http.json"
    ellm(
        *("teach", "select", "--annotations", samples, "--pairs", pairs),
        *("--out", PLACE / "chains-http.parquet", "--statistics", counts),
    )

    told = json.loads(counts.read_text(encoding="utf-8"))
    assert told["pairs"] == len(asked)
    assert told["dropped"]["unreadable"] == 0
    assert told["selected"] >= len(asked) // 3


def test_its_judgements_are_distilled_and_explained(judged: Judged, address: str) -> None:
    """A student learns from them, is exported and served; `/explain` asks the engine."""
    store = distilled_store(judged.shops.unseen, address)
    pair = read_pairs(judged.shops.judged)[0]

    reply = explained(store, address, pair)

    teacher = reply["teacher"]
    assert teacher["origin"] == "llm"
    assert teacher["state"] == "ok"
    assert parse(reply["chain_of_thought"])
    odds = read_judgements(PLACE / "cot.parquet")
    offline = next(j for j in odds if (j.query, j.item_id) == (pair.query, pair.item_id))
    assert offline.target is Target.COT
    assert parse(reply["chain_of_thought"]) == offline.chain_of_thought


async def _served_log_odds(
    address: str, asked: list[tuple[tuple[dict[str, str], ...], str]]
) -> tuple[list[list[float]], list[tuple[int, ...]], tuple[int, int]]:
    """Log-odds by each route, the engine's tokens before the judgement, and the labels'."""
    async with LanguageModel([Endpoint(address, "model-cot")]) as model:
        labels = await label_tokens(model, style=STYLE)
        routes = [
            [
                (await read_log_odds(model, messages, labels, begun=begun, read_by=route)).log_odds
                for messages, begun in asked
            ]
            for route in ReadBy
        ]
        tokens = [await model.tokens(messages, begun=begun) for messages, begun in asked]
    return routes, tokens, (labels.good, labels.bad)


def _log_odds_of_transformers(
    folder: Path, tokens: list[tuple[int, ...]], labels: tuple[int, int]
) -> list[float]:
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    found = []
    with torch.inference_mode():
        for ids in tokens:
            scores = model(torch.tensor([ids])).logits[0, -1]
            found.append(clip_log_odds(float(scores[labels[0]] - scores[labels[1]])))
    return found
