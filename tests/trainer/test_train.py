"""The loop on a toy shop: repeatable, learning, keeping its best state, refusing what cannot be."""

import copy
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from relevance.domain import Judgement, Relevance, Side
from relevance.errors import BadInput
from relevance.late_interaction import sigmoid
from relevance.metrics import neg_pr_auc, roc_auc
from relevance.records import Pair
from tests.trainer.make_students import CATALOGUE, make_judgement, make_span, shop_pairs
from trainer.batches import batches
from trainer.examples import TextLengths, make_examples, tokenise_texts
from trainer.material import TrainingData, start_student
from trainer.optimiser import make_optimiser, warm_linear
from trainer.recipes import Recipe
from trainer.scoring import score_text_pairs
from trainer.students.backbone import read_backbone
from trainer.students.checkpoint import read_checkpoint, write_checkpoint
from trainer.train import evaluation_steps, train_step, train_student

TINY = Recipe(
    "tiny",
    steps=6,
    human_pairs=12,
    learning_rate=2e-3,
    evaluations=3,
    dim=16,
    query_tokens=8,
    item_tokens=12,
)
DISTILLING = replace(
    TINY, lambda_score=1.0, lambda_cot=0.1, lambda_label=0.5, pseudo_blocks=1, human_share=0.5
)
recipes = st.builds(
    Recipe,
    st.just("any"),
    steps=st.integers(1, 400),
    warmup_share=st.floats(0, 1),
    evaluations=st.integers(1, 30),
)


@pytest.fixture(autouse=True)
def _as_before():
    yield
    torch.use_deterministic_algorithms(False)


def right_judgement(pair: Pair) -> Judgement:
    """Sure of the label, pointing at the thing in both texts."""
    relevance = Relevance.RELEVANT if pair.good else Relevance.IRRELEVANT
    texts = {Side.QUERY: pair.query, Side.TITLE: CATALOGUE[pair.item_id].title}
    spans = [make_span(side, t.index(" ") + 1, len(t), relevance) for side, t in texts.items()]
    log_odds = 3.0 if pair.good else -3.0
    return make_judgement(pair.query, pair.item_id, log_odds, held_out_of="0", spans=spans)


def make_data(**changes) -> TrainingData:
    """Ten queries to learn from, five to validate on, a pool of five, the teacher right."""
    pairs = shop_pairs()
    train, validation, pool = (pairs[:300:3], pairs[300:450:3], pairs[450:600:3])
    judgements = [right_judgement(pair) for pair in (*train, *pool)]
    parts = {
        "train": train,
        "validation": validation,
        "pool": [replace(pair, good=None) for pair in pool],
        "catalogue": CATALOGUE,
        "judgements": {(j.query, j.item_id): j for j in judgements},
    }
    return TrainingData(**{**parts, **changes})


@pytest.fixture
def train(backbone_folder):
    def trained(recipe: Recipe = TINY, **changes):
        return train_student(make_data(**changes), recipe, backbone_name=str(backbone_folder))

    return trained


def weights(checkpoint) -> dict[str, torch.Tensor]:
    return checkpoint.student.state_dict()


def same_bits(one, other) -> bool:
    return all(torch.equal(t, weights(other)[name]) for name, t in weights(one).items())


@pytest.mark.parametrize("recipe", [TINY, DISTILLING])
def test_the_same_seed_gives_the_same_bits_and_another_seed_others(train, recipe):
    first, curve, _ = train(recipe)
    again, curve_again, _ = train(recipe)
    other, _, _ = train(replace(recipe, seed=1))

    assert torch.are_deterministic_algorithms_enabled()
    assert same_bits(first, again)
    assert curve == curve_again
    assert not same_bits(first, other)


def test_what_was_drawn_before_the_training_changes_nothing(train):
    torch.manual_seed(1)
    first, _, _ = train()
    torch.manual_seed(2)
    torch.rand(10)

    again, _, _ = train()

    assert same_bits(first, again)


@pytest.mark.parametrize("recipe", [TINY, DISTILLING])
def test_every_term_of_the_loss_goes_down_on_a_toy_shop(backbone_folder, recipe):
    data, backbone = make_data(), read_backbone(str(backbone_folder))
    recipe = replace(recipe, learning_rate=1e-3, calibration_rate=5e-2)
    lengths = TextLengths(recipe.query_tokens, recipe.item_tokens, recipe.item_text)
    texts = tokenise_texts(backbone.tokenizer, [*data.train, *data.pool], CATALOGUE, lengths)
    human, _ = make_examples(data.train, texts, data.judgements)
    pseudo, _ = make_examples(data.pool, texts, data.judgements)
    student = start_student(backbone, human, recipe)
    optimiser = make_optimiser(student, recipe)

    steps = [
        train_step(student, [batch], optimiser, recipe)
        for batch in islice(batches(human, pseudo if recipe.pseudo_blocks else [], recipe), 40)
    ]

    assert set(steps[0]) == ({"label", "score", "cot"} if recipe.lambda_cot else {"label"})
    for name in steps[0]:
        first, last = (np.mean([step[name] for step in part]) for part in (steps[:8], steps[-8:]))
        assert last < 0.85 * first


def test_what_is_kept_is_the_best_state_that_was_looked_at(train):
    recipe = replace(TINY, steps=12, evaluations=12, learning_rate=2e-2)

    checkpoint, curve, _ = train(recipe)

    data = make_data()
    scores = sigmoid(score_text_pairs(checkpoint, data.validation, CATALOGUE))
    good = np.array([bool(pair.good) for pair in data.validation])
    best = max(look.neg_pr_auc for look in curve)
    first_best = next(look for look in curve if look.neg_pr_auc == best)
    assert len({look.neg_pr_auc for look in curve}) > 1
    assert neg_pr_auc(good, scores) == pytest.approx(best, abs=1e-6)
    assert roc_auc(good, scores) == pytest.approx(first_best.roc_auc, abs=1e-6)
    assert checkpoint.card.run["best_step"] == first_best.step
    assert checkpoint.card.run["validation_neg_pr_auc"] == best


def test_the_curve_has_a_look_at_each_evaluation_step(train):
    checkpoint, curve, _ = train()

    assert [look.step for look in curve] == sorted(evaluation_steps(TINY)) == [2, 4, 6]
    assert not checkpoint.student.training


def test_a_trained_student_scores_the_same_bits_after_a_round_trip(train, tmp_path):
    checkpoint, _, _ = train()

    write_checkpoint(tmp_path / "student", checkpoint)

    pairs = shop_pairs()[::7]
    read = read_checkpoint(tmp_path / "student")
    before, after = (score_text_pairs(c, pairs, CATALOGUE) for c in (checkpoint, read))
    assert before.tobytes() == after.tobytes()
    assert read.card == checkpoint.card
    assert read.card.recipe["steps"] == 6


def test_without_a_teacher_neither_judgements_nor_pool_leave_a_trace(train):
    plain, _, counts = train(pool=(), judgements={})
    beside, _, counts_beside = train()

    assert same_bits(plain, beside)
    assert not counts
    assert not counts_beside


def test_a_teacher_leaves_a_trace_and_what_it_had_seen_is_counted(train):
    data = make_data()
    seen = {key: replace(j, held_out_of="seen") for key, j in data.judgements.items()}

    held_out, _, counts = train(DISTILLING)
    dropped, _, counts_of_seen = train(DISTILLING, judgements=seen)
    unjudged, _, counts_of_unjudged = train(DISTILLING, judgements={})

    assert not counts
    assert counts_of_seen == {"seen": len(data.train)}
    assert counts_of_unjudged == {"no_label": len(data.pool)}
    assert not same_bits(held_out, dropped)
    assert not same_bits(dropped, unjudged)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train": []}, "training pairs: expected human-labelled ones"),
        ({"train": [Pair("red lamp", "I0")]}, "training pairs: .* got {'no_label': 1}"),
        ({"validation": []}, "validation pairs: expected Good and Bad ones, got 0"),
        ({"validation": [Pair("red lamp", "I0", good=True)]}, "validation pairs: .* got 1 of one"),
        ({"train": [Pair("red lamp", "gone", good=True)]}, "such as `gone`"),
    ],
)
def test_data_that_cannot_be_learned_from_are_refused(train, changes, message):
    with pytest.raises(BadInput, match=message):
        train(**changes)


def test_more_dimensions_than_the_encoder_has_are_refused(train):
    with pytest.raises(BadInput, match="expected at most the encoder's 32 dimensions, got 64"):
        train(replace(TINY, dim=64))


def test_a_student_starts_as_its_encoders_own_maxsim_with_a_centred_logit(backbone_folder):
    data, backbone = make_data(), read_backbone(str(backbone_folder))
    lengths = TextLengths(8, 12, TINY.item_text)
    texts = tokenise_texts(backbone.tokenizer, data.train, CATALOGUE, lengths)
    examples, _ = make_examples(data.train, texts, {})
    untouched = copy.deepcopy(backbone.encoder.state_dict())

    student = start_student(backbone, examples, replace(TINY, dim=32))

    assert all(torch.equal(t, untouched[n]) for n, t in student.encoder.state_dict().items())
    weight = student.projection.weight.detach()
    torch.testing.assert_close(weight.T @ weight, torch.eye(32), rtol=0, atol=1e-5)
    assert student.weight.item() == pytest.approx(12, abs=1e-4)


def test_slope_and_bias_have_their_own_rate_without_decay_and_no_parameter_is_twice(
    backbone_folder,
):
    data, backbone = make_data(), read_backbone(str(backbone_folder))
    texts = tokenise_texts(
        backbone.tokenizer, data.train, CATALOGUE, TextLengths(8, 12, TINY.item_text)
    )
    student = start_student(backbone, make_examples(data.train, texts, {})[0], TINY)

    rest, own = make_optimiser(student, TINY).param_groups

    assert {id(p) for p in own["params"]} == {id(student.raw_weight), id(student.bias)}
    assert (own["lr"], own["weight_decay"]) == (TINY.calibration_rate, 0)
    assert (rest["lr"], rest["weight_decay"]) == (TINY.learning_rate, TINY.weight_decay)
    together = [id(p) for p in (*rest["params"], *own["params"])]
    assert sorted(together) == sorted(id(p) for p in student.parameters())


@given(recipes)
def test_the_rate_rises_once_to_its_peak_and_falls_to_zero(recipe):
    factors = [warm_linear(step, recipe) for step in range(recipe.steps + 1)]

    peak = factors.index(max(factors))
    assert all(0 < factor <= 1 for factor in factors[:-1])
    assert max(factors) == 1
    assert factors[: peak + 1] == sorted(factors[: peak + 1])
    assert factors[peak:] == sorted(factors[peak:], reverse=True)
    assert factors[-1] == 0


@given(recipes)
def test_looks_are_spread_evenly_and_the_last_step_has_one(recipe):
    looks = sorted(evaluation_steps(recipe) - {0})

    assert looks[-1] == recipe.steps
    assert len(looks) == min(recipe.evaluations, recipe.steps)
    gaps = np.diff([0, *looks])
    assert gaps.max() - gaps.min() <= 1
