"""The tagging loss against an enumeration of every tagging, and what BIO forbids."""

from itertools import product
from math import exp, log

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from relevance.evidence import Tag
from trainer.losses.tagging import sequence_tagging
from trainer.students.tagger import EvidenceTagger, forbidden_transitions

OPENING = {Tag.O, Tag.B_RELEVANT, Tag.B_IRRELEVANT}
CONTINUES = {
    Tag.I_RELEVANT: {Tag.B_RELEVANT, Tag.I_RELEVANT},
    Tag.I_IRRELEVANT: {Tag.B_IRRELEVANT, Tag.I_IRRELEVANT},
}


def is_legal(tags: tuple[Tag, ...]) -> bool:
    """BIO, spelled out once more."""
    if tags[0] not in OPENING:
        return False
    return all(
        to in OPENING or tag in CONTINUES[to] for tag, to in zip(tags, tags[1:], strict=False)
    )


def make_tagger(seed: int, hidden: int = 3) -> EvidenceTagger:
    torch.manual_seed(seed)
    tagger = EvidenceTagger(hidden).double()
    with torch.no_grad():
        for parameter in tagger.parameters():
            parameter.normal_()
    return tagger


def path_score(tagger: EvidenceTagger, emitted: np.ndarray, tags: tuple[Tag, ...]) -> float:
    start, end, between = (
        found.detach().numpy()
        for found in (
            tagger.crf.start_transitions,
            tagger.crf.end_transitions,
            tagger.crf.transitions,
        )
    )
    score = start[tags[0]] + end[tags[-1]]
    score += sum(emitted[at, tag] for at, tag in enumerate(tags))
    return score + sum(between[tag, to] for tag, to in zip(tags, tags[1:], strict=False))


@settings(max_examples=25)
@given(seed=st.integers(0, 10**6), length=st.integers(1, 4))
def test_it_is_minus_the_log_of_the_share_of_all_legal_taggings(seed, length):
    tagger, random = make_tagger(seed), np.random.default_rng(seed)
    legal = [tags for tags in product(Tag, repeat=length) if is_legal(tags)]
    tags = legal[random.integers(len(legal))]
    states = torch.from_numpy(random.normal(size=(1, length, 3)))

    found = sequence_tagging(
        tagger.float(), states.float(), torch.tensor([tags]), torch.ones(1, length, dtype=bool)
    )

    emitted = tagger.double().emissions(states)[0].detach().numpy()
    whole = sum(exp(path_score(tagger, emitted, path)) for path in legal)
    assert found.item() == pytest.approx(log(whole) - path_score(tagger, emitted, tags), abs=1e-3)


@settings(max_examples=20)
@given(st.integers(0, 10**6))
def test_what_stands_behind_a_texts_tokens_is_never_read(seed):
    tagger, random = make_tagger(seed).float(), torch.Generator().manual_seed(seed)
    states = torch.randn(2, 4, 3, generator=random)
    tags = torch.tensor([[1, 2, 0, 0], [0, 3, 4, 0]])
    is_token = torch.tensor([[True, True, False, False], [True, True, True, True]])
    other = torch.where(is_token[:, :, None], states, 9.0)

    found = sequence_tagging(tagger, states, tags, is_token)

    assert torch.equal(found, sequence_tagging(tagger, other, tags, is_token))
    alone = sequence_tagging(tagger, states[:1, :2], tags[:1, :2], is_token[:1, :2])
    torch.testing.assert_close(found[:1], alone)


@settings(max_examples=20)
@given(st.integers(0, 10**6), st.integers(1, 6))
def test_no_decoded_tagging_breaks_the_rules_of_bio(seed, length):
    tagger = make_tagger(seed).float()
    states = torch.randn(3, length, 3, generator=torch.Generator().manual_seed(seed)) * 5

    found = tagger.decode(states, torch.ones(3, length, dtype=torch.bool))

    assert all(is_legal(tuple(Tag(tag) for tag in tags)) for tags in found)


def test_forbidden_are_exactly_the_steps_that_bio_does_not_allow():
    bigrams, starts = forbidden_transitions()

    assert [not start for start in starts.tolist()] == [tag in OPENING for tag in Tag]
    for tag, to in product(Tag, Tag):
        assert bigrams[tag, to].item() == (not is_legal((Tag.O, to)) and tag not in CONTINUES[to])


def test_autograd_agrees_with_finite_differences():
    # in float64: the tagger itself computes in float32, in which differences drown
    tagger = make_tagger(0)
    tags, is_token = torch.tensor([[1, 2, 0], [3, 0, 0]]), torch.tensor([[1, 1, 1], [1, 1, 0]])
    emitted = torch.randn(2, 3, 5, dtype=torch.float64, requires_grad=True)

    assert torch.autograd.gradcheck(
        lambda asked: tagger.crf(asked, tags, mask=is_token.bool(), reduction="none"), (emitted,)
    )


def test_forbidden_transitions_get_no_gradient_and_stay_where_they_are():
    tagger = make_tagger(1).float()
    optimiser = torch.optim.SGD(tagger.parameters(), lr=1.0)
    before = tagger.crf.transitions.detach().clone()

    sequence_tagging(
        tagger, torch.randn(2, 3, 3), torch.tensor([[1, 2, 0], [0, 3, 4]]), torch.ones(2, 3).bool()
    ).sum().backward()
    optimiser.step()

    bigrams, _ = forbidden_transitions()
    assert torch.equal(tagger.crf.transitions[bigrams], before[bigrams])
    assert not torch.equal(tagger.crf.transitions[~bigrams], before[~bigrams])


def test_under_autocast_it_stays_in_float32():
    tagger = make_tagger(2).float()
    arguments = (
        torch.randn(1, 5, 3),
        torch.tensor([[0, 1, 2, 2, 0]]),
        torch.ones(1, 5, dtype=torch.bool),
    )

    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = sequence_tagging(tagger, *arguments)

    assert found.dtype == torch.float32
    assert torch.equal(found, sequence_tagging(tagger, *arguments))
