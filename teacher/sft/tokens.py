"""From prompt and answer to token ids, and which of them the loss covers.

The loss covers the answer and the token that ends the turn, and nothing else (paper, Eq. 3). The
prompt's tokens are those an engine makes of the same messages.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from relevance.chain_of_thought import JUDGEMENT_HEADING, render
from relevance.domain import AspectFinding, Item, Label, Verdict, conclude
from relevance.errors import BadInput
from teacher.online.llm.prompt import Messages, Mode, PromptStyle, example_answers, prompt
from teacher.sft.examples import Example

IGNORED = -100  # the label of a position that the loss leaves out
_OFFERED = ("red", "(24)")  # two values that share no token


@dataclass(frozen=True, slots=True)
class TokenisedExample:
    """Token ids, and per position the id to learn there or `IGNORED`; equally long."""

    input_ids: tuple[int, ...]
    labels: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class JudgementTokens:
    """The ids of the two labels in their place."""

    good: int
    bad: int


@dataclass(frozen=True, slots=True)
class VerdictTokens:
    """The ids that tell a match from a mismatch, and what always stands before them, say ` ->`."""

    before: tuple[int, ...]
    match: int
    mismatch: int


def tokenised(example: Example, tokenizer: Any) -> TokenisedExample:
    """The example as the model sees it; raises `BadInput` where the chat template moves the prompt.

    What a template puts behind the end of the last turn is cut off.
    """
    before = _ids(tokenizer, example.messages, add_generation_prompt=True)
    after = _ids(tokenizer, (*example.messages, _said(example.answer)))
    if after[: len(before)] != before:
        raise BadInput(
            "chat template: expected the prompt's tokens to begin those of prompt and answer, "
            f"got {tokenizer.decode(before[-8:])!r} at their end"
        )
    answered = _ended(after[len(before) :], tokenizer.eos_token_id)
    return TokenisedExample((*before, *answered), (*[IGNORED] * len(before), *answered))


def judgement_tokens(tokenizer: Any, style: PromptStyle) -> JudgementTokens:
    """The labels' tokens behind `Final judgment:`, at once and after a chain of thought.

    Raises `BadInput` where a label is not a single token there, or not the same in both places.
    """
    reasoned = example_answers(style.language)[0].rpartition(JUDGEMENT_HEADING)[0]
    contexts = ((Mode.DIRECT, ""), (Mode.COT, reasoned))
    found = {_labels_after(tokenizer, mode, text, style) for mode, text in contexts}
    if len(found) != 1:
        raise BadInput(f"tokenizer: the labels' tokens depend on what stands before: {found}")
    return found.pop()


def verdict_tokens(tokenizer: Any, style: PromptStyle) -> VerdictTokens:
    """The verdicts' tokens behind what an item offers: the first that are not the same.

    `missing` has none: `(not stated)` settles it. Raises `BadInput` where the ids depend on what is
    offered.
    """
    told = [_told_apart(tokenizer, offered, style) for offered in _OFFERED]
    if told[0][1] != told[1][1]:
        raise BadInput(f"tokenizer: the verdicts' tokens depend on what stands before: {told}")
    (before, ids), (other, _) = told
    return VerdictTokens(_common_end(before, other), *ids)


def _told_apart(
    tokenizer: Any, offered: str, style: PromptStyle
) -> tuple[tuple[int, ...], tuple[int, int]]:
    """Two answers that differ in a verdict alone: their common tokens, and each one's next."""
    messages = prompt("red", Item("", "title"), mode=Mode.COT, style=style)
    match, mismatch = (
        _ids(tokenizer, (*messages, _said(_answer_with(offered, verdict))))
        for verdict in (Verdict.MATCH, Verdict.MISMATCH)
    )
    at = next(i for i, both in enumerate(zip(match, mismatch, strict=False)) if len({*both}) > 1)
    return match[:at], (match[at], mismatch[at])


def _answer_with(offered: str, verdict: Verdict) -> str:
    finding = AspectFinding("color", "red", offered, verdict)
    return render(conclude((finding,), score=1.0, threshold=0.5))


def _common_end(one: tuple[int, ...], other: tuple[int, ...]) -> tuple[int, ...]:
    places = range(min(len(one), len(other)))
    same = next((n for n in places if one[-n - 1] != other[-n - 1]), len(places))
    return one[len(one) - same :]


def _labels_after(tokenizer: Any, mode: Mode, reasoned: str, style: PromptStyle) -> JudgementTokens:
    messages, begun = prompt("query", Item("", "title"), mode=mode, style=style), JUDGEMENT_HEADING
    before = _begun(tokenizer, messages, reasoned + begun)
    ids = []
    for label in Label:
        after = _begun(tokenizer, messages, f"{reasoned}{begun} {label}")
        if after[:-1] != before:
            raise BadInput(
                f"tokenizer: expected ` {label}` to be one token after `{begun}`, got the tokens "
                f"{list(after[len(before) :])}\n"
                "hint: log-odds can only be read of a model whose vocabulary has both labels"
            )
        ids.append(after[-1])
    return JudgementTokens(*ids)


def _begun(tokenizer: Any, messages: Messages, text: str) -> tuple[int, ...]:
    return _ids(tokenizer, (*messages, _said(text)), continue_final_message=True)


def _said(text: str) -> dict[str, str]:
    return {"role": "assistant", "content": text}


def _ids(tokenizer: Any, messages: Sequence[dict[str, str]], **how: bool) -> tuple[int, ...]:
    text = tokenizer.apply_chat_template(list(messages), tokenize=False, **how)
    return tuple(tokenizer(text, add_special_tokens=False)["input_ids"])


def _ended(answered: tuple[int, ...], end: int) -> tuple[int, ...]:
    """Up to the first token that ends the turn, which is added where the template has none."""
    if end in answered:
        return answered[: answered.index(end) + 1]
    return (*answered, end)
