"""Which tokens the loss covers: exactly the answer and the end of the turn."""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from relevance.chain_of_thought import JUDGEMENT_HEADING, render
from relevance.domain import ChainOfThought, Label, Verdict, conclude
from relevance.errors import BadInput
from teacher.online.llm.prompt import Mode, answer, prompt
from teacher.sft.examples import Example
from teacher.sft.loss import is_verdict
from teacher.sft.models import read_tokenizer
from teacher.sft.tokens import IGNORED, judgement_tokens, tokenised, verdict_tokens
from tests.teacher.sft.make_chains import BAD_MUG, CHAINS, ITEMS, STYLE, finding
from tests.vllm.small_model import write_small_model

VALUES = st.text("abc déGood红 :->(", min_size=1).map(str.strip).filter(bool)
VERDICTS = st.sampled_from([Verdict.MATCH, Verdict.MISMATCH])
FINDINGS = st.builds(finding, st.sampled_from(["product", "other"]), VALUES, VALUES, VERDICTS)
CHAINS_OF_THOUGHT = st.builds(
    lambda findings, good: conclude(tuple(findings), score=float(good), threshold=0.5),
    st.lists(FINDINGS, max_size=4),
    st.booleans(),
)


def example(thought: ChainOfThought, mode: Mode = Mode.COT, query: str = "red mug") -> Example:
    return Example(prompt(query, ITEMS["mug"], mode=mode, style=STYLE), answer(thought, mode=mode))


def labelled(tokens: Any) -> list[int]:
    return [label for label in tokens.labels if label != IGNORED]


@pytest.mark.parametrize("mode", Mode)
@given(thought=CHAINS_OF_THOUGHT)
@settings(max_examples=50)
def test_the_loss_covers_exactly_the_answer_and_the_end_of_the_turn(
    tokenizer: Any, mode: Mode, thought: ChainOfThought
) -> None:
    """Token by token: nothing of the prompt, every token of the chain, one that ends the turn."""
    asked = example(thought, mode)

    tokens = tokenised(asked, tokenizer)

    said = tokenizer(asked.answer)["input_ids"]
    assert labelled(tokens) == [*said, tokenizer.eos_token_id]
    assert tokens.input_ids[-len(said) - 1 :] == (*said, tokenizer.eos_token_id)
    assert set(tokens.labels[: -len(said) - 1]) == {IGNORED}
    assert len(tokens.labels) == len(tokens.input_ids)


@given(query=VALUES)
@settings(max_examples=50)
def test_the_prompt_is_what_an_engine_makes_of_the_messages(tokenizer: Any, query: str) -> None:
    """Tokens before the first learnt one equal the chat template's with its generation prompt."""
    asked = example(BAD_MUG, query=query)

    tokens = tokenised(asked, tokenizer)

    text = tokenizer.apply_chat_template(
        list(asked.messages), tokenize=False, add_generation_prompt=True
    )
    before = tokens.input_ids[: tokens.labels.count(IGNORED)]
    assert before == tuple(tokenizer(text)["input_ids"])
    assert tokenizer.decode(before) == text


def test_a_template_without_an_end_of_turn_gets_one(tokenizer: Any) -> None:
    """Else the model would not learn to stop."""
    endless = copy.deepcopy(tokenizer)
    endless.chat_template = (
        "{% for m in messages %}{{ m['role'] + '\\n' + m['content'] + '\\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ 'assistant\\n' }}{% endif %}"
    )

    tokens = tokenised(example(BAD_MUG), endless)

    assert tokens.labels[-1] == tokenizer.eos_token_id


def test_a_template_that_moves_the_prompt_is_refused(tokenizer: Any) -> None:
    """What is learnt must stand behind what an engine will show."""
    moving = copy.deepcopy(tokenizer)
    moving.chat_template = "{{ messages | length }}" + tokenizer.chat_template

    with pytest.raises(BadInput, match="expected the prompt's tokens to begin those of prompt and"):
        tokenised(example(BAD_MUG), moving)


def test_the_labels_tokens_are_those_behind_the_last_heading(tokenizer: Any) -> None:
    """The ids are found in place, wherever else such words occur."""
    found = judgement_tokens(tokenizer, STYLE)

    by_label = {Label.GOOD: found.good, Label.BAD: found.bad}
    heading = tokenizer(JUDGEMENT_HEADING)["input_ids"]
    for _, _, thought in CHAINS:
        said = tokenizer(render(thought))["input_ids"]
        place = max(i for i in range(len(said)) if said[i : i + len(heading)] == heading)
        assert said[place + len(heading)] == by_label[thought.label]


@pytest.fixture(scope="module", params=["pieces", "words", "bytes"])
def cut_tokenizer(request: pytest.FixtureRequest, tokenizer: Any, tmp_path_factory: Any) -> Any:
    """Verdicts as one piece with their arrow, as words behind it as in Qwen2, and letter by letter.

    The last two know nothing of the form but what its texts repeat.
    """
    folder: Path = tmp_path_factory.mktemp("cut")
    if request.param == "pieces":
        return tokenizer
    answers = [render(BAD_MUG)] * 99
    sizes = {"words": 500, "bytes": 0}
    write_small_model(folder, (), (), answers, vocabulary=sizes[request.param], pieces=())
    return read_tokenizer(str(folder))


@given(thought=CHAINS_OF_THOUGHT)
@settings(max_examples=50)
def test_every_match_and_mismatch_is_found_once(
    cut_tokenizer: Any, thought: ChainOfThought
) -> None:
    """However a tokenizer cuts them; the cause behind the judgement is none of them."""
    labels = tokenised(example(thought), cut_tokenizer).labels

    found = is_verdict(torch.tensor([labels]), verdict_tokens(cut_tokenizer, STYLE))

    assert int(found.sum()) == len(thought.findings)


def test_the_verdicts_tokens_tell_them_apart(tokenizer: Any) -> None:
    """Where both are pieces of their own, these are the pieces."""
    found = verdict_tokens(tokenizer, STYLE)

    assert found.before == ()
    assert tokenizer.decode([found.match]) == " -> match\n"
    assert tokenizer.decode([found.mismatch]) == " -> mismatch\n"


def test_a_vocabulary_without_the_labels_is_refused(tokenizer: Any) -> None:
    """Log-odds are read of one token each; characters would not do."""
    from tokenizers import models

    spelling = copy.deepcopy(tokenizer)
    alphabet = {piece: i for piece, i in tokenizer.get_vocab().items() if i < 260}
    spelling.backend_tokenizer.model = models.BPE(alphabet, [])

    with pytest.raises(BadInput, match="expected ` Good` to be one token after `Final judgment:`"):
        judgement_tokens(spelling, STYLE)
