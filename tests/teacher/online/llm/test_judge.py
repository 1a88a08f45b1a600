"""The judge: log-odds by token id, rows in order, reasons with evidence, faults told."""

import asyncio
import json
import math
from collections.abc import Coroutine
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from relevance.chain_of_thought import parse
from relevance.domain import Item, Judgement, Label, Target
from relevance.errors import BadInput
from teacher.online.llm.client import LanguageModel, Patience
from teacher.online.llm.endpoints import Endpoint
from teacher.online.llm.faults import EndpointFault
from teacher.online.llm.judge import Judged, JudgeOptions, LLMJudge
from teacher.online.llm.log_odds import LabelTokens, label_tokens, mean_log_odds, read_log_odds
from teacher.online.llm.prompt import Mode, prompt
from teacher.online.llm.reasoning import write_chains
from teacher.online.llm.wire import PAPER_SAMPLING, ReadBy, Sampling
from tests.teacher.recorded_endpoint import (
    BAD,
    GOOD,
    Behaviour,
    log_odds,
    recorded_server,
)

RED = Item("red", "Norvane Bottle in Red", brand="Norvane")
LABELS = LabelTokens(GOOD, BAD)
ALL = frozenset(Target)


def at(behaviour: Behaviour, use: Any) -> Any:
    """What `use` gets of a model behind a server of this behaviour."""

    async def run(url: str) -> Any:
        async with LanguageModel([Endpoint(url, "recorded")], patience=Patience()) as model:
            return await use(model)

    with recorded_server(behaviour) as server:
        return asyncio.run(run(server.url))


def judged(
    query: str = "red bottle",
    item: Item = RED,
    *,
    behaviour: Behaviour | None = None,
    **options: Any,
) -> Judged:
    """What the judge says of a pair."""

    def use(model: LanguageModel) -> Coroutine[Any, Any, Judged]:
        judge = LLMJudge(model, LABELS, JudgeOptions(**options))
        return judge.judge(query, item, held_out_of="outer-1")

    found: Judged = at(behaviour or Behaviour(), use)
    return found


def by_target(found: Judged) -> dict[Target, Judgement]:
    return {judgement.target: judgement for judgement in found.judgements}


def test_labels_are_looked_up_in_the_engine_s_own_tokenizer() -> None:
    """In both places of a judgement: at once, and after a chain of thought."""
    assert at(Behaviour(), label_tokens) == LABELS


def test_a_model_whose_labels_are_not_single_tokens_is_refused() -> None:
    """The message names the model, the label and its tokens."""
    with pytest.raises(BadInput, match=r"recorded: expected ` Good` to be one token .* got"):
        at(Behaviour(single_tokens=False), label_tokens)


def test_log_odds_are_those_of_the_label_tokens_whatever_token_was_drawn() -> None:
    """Read by id: the generated token and its text play no part."""
    messages = prompt("red bottle", RED, mode=Mode.DIRECT)

    read = at(Behaviour(), lambda m: read_log_odds(m, messages, LABELS))

    assert read.log_odds == pytest.approx(log_odds(list(messages)))


def test_generative_scoring_gives_the_logit_of_its_share() -> None:
    """The engine's two-way softmax, turned back."""
    messages = prompt("red bottle", RED, mode=Mode.DIRECT)

    def use(model: LanguageModel) -> Any:
        return read_log_odds(model, messages, LABELS, read_by=ReadBy.GENERATIVE_SCORING)

    assert at(Behaviour(), use).log_odds == pytest.approx(math.log(0.25 / 0.75))


def test_an_endpoint_that_does_not_tell_the_labels_is_refused() -> None:
    """Never guessed from a list of likely tokens."""
    messages = prompt("red bottle", RED, mode=Mode.DIRECT)

    def use(model: LanguageModel) -> Any:
        return read_log_odds(model, messages, LabelTokens(5, 6))

    with pytest.raises(EndpointFault, match="expected log-probabilities"):
        at(Behaviour(model="other"), lambda m: _without_ids(m, use))


async def _without_ids(model: LanguageModel, use: Any) -> Any:
    """Asks a model that ignores `logprob_token_ids`."""
    whole = model.complete

    async def forgetful(ask: Any, **more: Any) -> Any:
        return await whole(replace(ask, label_ids=()), **more)

    model.complete = forgetful  # type: ignore[method-assign]
    return await use(model)


def test_a_pair_has_a_row_for_each_target_in_a_fixed_order() -> None:
    """Marginal only where the pair is uncertain; reasons and evidence beside each."""
    found = judged("red oak bottle", targets=ALL, uncertain=9.0)

    assert [j.target for j in found.judgements] == [Target.COT, Target.MARGINAL, Target.DIRECT]
    for judgement in found.judgements:
        assert judgement.judge == "llm:recorded"
        assert judgement.held_out_of == "outer-1"
        assert judgement.chain_of_thought is not None
        good = judgement.chain_of_thought.label is Label.GOOD
        assert good == (judgement.log_odds >= 0)
        assert {s.aspect for s in judgement.spans} == {"product", "other"}
    assert found.usage.completion > 10


@pytest.mark.parametrize("uncertain", [0.0, 9.0])
def test_only_uncertain_pairs_are_marginalised(uncertain: float) -> None:
    """The bound is on the chain of thought's log-odds."""
    found = judged(targets=ALL, uncertain=uncertain)

    assert (Target.MARGINAL in by_target(found)) == (uncertain > 0)


def test_the_marginal_is_the_mean_probability_of_its_samples() -> None:
    """The recorded model is equally sure after every chain, so the mean is that."""
    rows = by_target(judged("red oak bottle", targets=ALL, uncertain=9.0, samples=3))

    assert rows[Target.MARGINAL].log_odds == pytest.approx(rows[Target.COT].log_odds)
    shares = 1 / (1 + np.exp(-np.array([-1.0, 2.0])))
    mean = shares.mean()
    assert mean_log_odds([-1.0, 2.0]) == pytest.approx(math.log(mean / (1 - mean)))


@pytest.mark.parametrize("structured", [True, False])
def test_chains_are_drawn_together_and_equal_ones_read_once(structured: bool) -> None:
    """One request draws six from the model's own distribution; four of them differ."""
    behaviour = Behaviour()

    judged(
        "red oak bottle",
        behaviour=behaviour,
        targets=frozenset({Target.COT, Target.MARGINAL}),
        uncertain=9.0,
        samples=6,
        structured=structured,
    )

    drawn = [chat for chat in behaviour.chats if chat["n"] == 6]
    assert [(chat["temperature"], chat["top_p"], "top_k" in chat) for chat in drawn] == [
        (1.0, 1.0, False)
    ]
    read = [chat for chat in behaviour.chats if "logprob_token_ids" in chat]
    assert len(read) == 1 + 4
    assert len({chat["messages"][-1]["content"] for chat in read}) == 4  # `cot` is one of them


def test_the_log_odds_are_read_where_the_chain_ends() -> None:
    """The request that reads them continues the very chain that was written."""
    behaviour = Behaviour()

    judged(behaviour=behaviour, targets=frozenset({Target.COT}))

    *_, begun, read = behaviour.chats
    assert read["messages"][-1]["content"].startswith(begun["messages"][-1]["content"])
    assert read["messages"][-1]["content"].endswith("\nFinal judgment:")
    assert read["continue_final_message"] is True
    assert read["add_generation_prompt"] is False
    assert read["logprob_token_ids"] == [GOOD, BAD]
    assert read["max_tokens"] == 1


@pytest.mark.parametrize("structured", [True, False])
def test_bound_and_free_answers_say_the_same(structured: bool) -> None:
    """Two requests under expressions, or one without."""
    behaviour = Behaviour()

    found = judged(behaviour=behaviour, structured=structured)

    assert found.fault is None
    assert len(behaviour.chats) == (4 if structured else 3)
    bound = ["structured_outputs" in chat for chat in behaviour.chats]
    assert bound == ([True, True, False, False] if structured else [False] * 3)


def test_an_answer_cut_off_by_its_limit_is_told_and_never_read() -> None:
    """The direct log-odds stand without it."""
    found = judged(max_tokens=4)

    assert found.fault == "truncated"
    assert list(by_target(found)) == [Target.DIRECT]
    assert found.judgements[0].chain_of_thought is None


def test_an_unreadable_answer_is_told() -> None:
    """A free answer may be no chain of thought; the direct log-odds stand without it."""
    found = judged(behaviour=Behaviour(says="I cannot say."), structured=False)

    assert found.fault == "unreadable"
    assert list(by_target(found)) == [Target.DIRECT]


def test_a_query_that_asks_for_nothing_has_a_chain_of_its_own() -> None:
    """Both lists hold `- (none)`, which is read and no fault."""
    found = judged("")

    assert found.fault is None
    assert found.judgements[0].chain_of_thought is not None
    assert found.judgements[0].chain_of_thought.findings == ()


def test_only_direct_asks_once() -> None:
    """Without chains of thought a pair costs one request (the paper's Walmart-LLM)."""
    behaviour = Behaviour()

    found = judged(behaviour=behaviour, targets=frozenset({Target.DIRECT}))

    assert len(behaviour.chats) == 1
    assert found.judgements[0].chain_of_thought is None


@pytest.mark.parametrize(
    "options", [{"targets": frozenset()}, {"targets": frozenset({Target.MARGINAL})}]
)
def test_senseless_targets_are_refused(options: dict[str, Any]) -> None:
    """A marginal starts from a chain of thought."""
    with pytest.raises(BadInput, match="targets: expected"):
        JudgeOptions(**options)


def test_whatever_decides_a_judgement_is_in_the_fingerprint() -> None:
    """Another model, prompt or sampling is another judge."""
    base = JudgeOptions()
    others = [
        base.fingerprint("m"),
        base.fingerprint("n"),
        replace(base, structured=False).fingerprint("m"),
        replace(base, seed=1).fingerprint("m"),
        replace(base, targets=ALL).fingerprint("m"),
    ]

    assert len(set(others)) == len(others)
    assert base.fingerprint("m") == JudgeOptions().fingerprint("m")


@pytest.mark.parametrize("structured", [True, False])
def test_every_sample_of_a_whole_chain_parses(structured: bool) -> None:
    """Five samples as the paper draws them, each finished with its own judgement."""
    messages, behaviour = prompt("red oak bottle", RED, mode=Mode.COT), Behaviour()

    def use(model: LanguageModel) -> Any:
        return write_chains(model, messages, PAPER_SAMPLING, structured=structured)

    written = at(behaviour, use)

    assert len(written.texts) == 5
    assert len({parse(text) for text in written.texts}) > 1
    first = behaviour.chats[0]
    assert (first["n"], first["temperature"], first["top_p"], first["top_k"]) == (5, 0.8, 0.7, 50)
    assert json.dumps(first["messages"]) == json.dumps(list(messages))


def test_samples_have_seeds_of_their_own() -> None:
    """Continuations of one request must not be drawn alike."""
    messages, behaviour = prompt("red oak bottle", RED, mode=Mode.COT), Behaviour()
    sampling = Sampling(samples=3, seed=7)

    at(behaviour, lambda m: write_chains(m, messages, sampling))

    first, *continued = [chat.get("seed") for chat in behaviour.chats]
    assert first == 7
    assert sorted(continued) == [7, 8, 9]  # under way together, they arrive in any order
