"""Log-odds of Good against Bad, read by token id at the one position where the judgement stands.

The position is made, not searched: the answer is cut after `Final judgment:` and the model is asked
for the next token. Words like "good" in a title or the luck of a top-k list play no part.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from relevance.chain_of_thought import JUDGEMENT_HEADING
from relevance.domain import LOG_ODDS_LIMIT, Item, Label, clip_log_odds
from relevance.errors import BadInput
from teacher.online.llm.client import LanguageModel
from teacher.online.llm.faults import EndpointFault, FaultKind
from teacher.online.llm.prompt import (
    DEFAULT_STYLE,
    Messages,
    Mode,
    PromptStyle,
    example_answers,
    prompt,
)
from teacher.online.llm.wire import Ask, ReadBy, Sampling, Usage


@dataclass(frozen=True, slots=True)
class LabelTokens:
    """The token ids of the two labels in their place."""

    good: int
    bad: int

    def __post_init__(self) -> None:
        if self.good == self.bad or min(self.good, self.bad) < 0:
            raise BadInput(f"label tokens: expected two token ids, got {self.good} and {self.bad}")


@dataclass(frozen=True, slots=True)
class Read:
    """Clipped log-odds and what reading them cost."""

    log_odds: float
    usage: Usage = Usage()


async def label_tokens(model: LanguageModel, *, style: PromptStyle = DEFAULT_STYLE) -> LabelTokens:
    """The labels' tokens as the engine's own tokenizer makes them, after both kinds of answers.

    Raises `BadInput` where a label is not a single token, or another one after a chain of thought.
    """
    found = set()
    for mode, begun in _contexts(style):
        messages = prompt("query", Item("", "title"), mode=mode, style=style)
        before = await model.tokens(messages, begun=begun)
        ids = [await _one_token(model, messages, begun, before, label) for label in Label]
        found.add(LabelTokens(*ids))
    if len(found) != 1:
        raise BadInput(f"{model.name}: the labels' tokens depend on what stands before: {found}")
    return found.pop()


async def read_log_odds(
    model: LanguageModel,
    messages: Messages,
    labels: LabelTokens,
    *,
    begun: str = JUDGEMENT_HEADING,
    read_by: ReadBy = ReadBy.LOGPROBS,
    prefer: int | None = None,
) -> Read:
    """logit(Good) - logit(Bad) for the token after `begun`, within the stored range."""
    return await _READERS[read_by](model, messages, labels, begun, prefer)


def mean_log_odds(log_odds: Sequence[float]) -> float:
    """The log-odds of the mean probability of Good: chains of thought marginalised out."""
    good = math.fsum(1 / (1 + math.exp(-one)) for one in log_odds) / len(log_odds)
    return _logit(good)


async def _by_logprobs(
    model: LanguageModel,
    messages: Messages,
    labels: LabelTokens,
    begun: str,
    prefer: int | None,
) -> Read:
    ids = (labels.good, labels.bad)
    ask = Ask(messages, Sampling(max_tokens=1), begun=begun, label_ids=ids)
    reply = await model.complete(ask, prefer=prefer)
    first = reply.choices[0].first
    told = [first.get(token, math.nan) for token in ids]
    if any(math.isnan(value) for value in told):
        raise EndpointFault(
            f"{model.name}: expected log-probabilities of the tokens {ids}, got {dict(first)}\n"
            "hint: the endpoint must know vLLM's `logprob_token_ids`",
            kind=FaultKind.DENIED,
        )
    return Read(clip_log_odds(told[0] - told[1]), reply.usage)


async def _by_scoring(
    model: LanguageModel,
    messages: Messages,
    labels: LabelTokens,
    begun: str,
    prefer: int | None,
) -> Read:
    prefix = await model.tokens(messages, begun=begun, prefer=prefer)
    (share,) = await model.next_token_share([prefix], (labels.good, labels.bad), prefer=prefer)
    if not 0 <= share <= 1:
        raise EndpointFault(
            f"{model.name}: expected a share of probability, got {share}", kind=FaultKind.DENIED
        )
    return Read(_logit(share), Usage(prompt=len(prefix)))


_READERS = {ReadBy.LOGPROBS: _by_logprobs, ReadBy.GENERATIVE_SCORING: _by_scoring}


def _logit(share: float) -> float:
    if share <= 0 or share >= 1:
        return math.copysign(LOG_ODDS_LIMIT, share - 0.5)
    return clip_log_odds(math.log(share) - math.log1p(-share))


def _contexts(style: PromptStyle) -> tuple[tuple[Mode, str], ...]:
    """Both places of a judgement: at once, and after a chain of thought."""
    reasoned = example_answers(style.language)[0].rpartition(JUDGEMENT_HEADING)[0]
    return ((Mode.DIRECT, JUDGEMENT_HEADING), (Mode.COT, reasoned + JUDGEMENT_HEADING))


async def _one_token(
    model: LanguageModel, messages: Messages, begun: str, before: tuple[int, ...], label: Label
) -> int:
    after = await model.tokens(messages, begun=f"{begun} {label}")
    if len(after) != len(before) + 1 or after[:-1] != before:
        raise BadInput(
            f"{model.name}: expected ` {label}` to be one token after `{JUDGEMENT_HEADING}`, got "
            f"the tokens {list(after[len(before) :])}\n"
            "hint: log-odds can only be read of a model whose tokenizer has both labels as tokens"
        )
    return after[-1]
