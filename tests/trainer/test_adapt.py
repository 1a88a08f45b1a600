"""Adaptation on a tiny encoder: it learns, repeats, resumes, and is a backbone afterwards."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from relevance.errors import BadInput
from tests.trainer.make_students import TITLES, tokens_of
from tests.trainer.test_train import TINY, make_data
from trainer import adapt
from trainer.adapt import (
    adapt_encoder,
    all_mean_maxsims,
    read_adaptation_card,
    write_adapted,
)
from trainer.journal import Notebook
from trainer.own_words import UnlabelledTexts
from trainer.recipes import Adaptation
from trainer.students.backbone import read_backbone
from trainer.students.colbert import mean_maxsim, similarities
from trainer.train import Surroundings, train_student

LONG = tuple(
    f"{one} {other} {third}"
    for one, other, third in zip(TITLES, TITLES[7:], TITLES[13:], strict=False)
)
TEXTS = UnlabelledTexts(TITLES, LONG)
ADAPTATION = Adaptation(steps=12, texts=8, learning_rate=1e-3, query_tokens=6, item_tokens=12)


@pytest.fixture(autouse=True)
def _as_before():
    yield
    torch.use_deterministic_algorithms(False)


def same_bits(one, other) -> bool:
    others = other.state_dict()
    return all(torch.equal(tensor, others[name]) for name, tensor in one.state_dict().items())


def test_every_text_meets_every_other_by_the_students_own_mean_maxsim():
    torch.manual_seed(0)
    queries, items = torch.randn(3, 4, 5), torch.randn(2, 6, 5)
    query_is_token = torch.arange(4)[None, :] < torch.tensor([[4], [1], [3]])
    item_is_token = torch.arange(6)[None, :] < torch.tensor([[2], [6]])

    found = all_mean_maxsims(queries, items, query_is_token, item_is_token)

    for query in range(3):
        for item in range(2):
            cosines = similarities(queries[query][None], items[item][None])
            expected = mean_maxsim(cosines, query_is_token[query][None], item_is_token[item][None])
            assert found[query, item].item() == pytest.approx(expected.item(), rel=1e-5)


def test_its_gradient_agrees_with_finite_differences():
    torch.manual_seed(1)
    queries = torch.randn(2, 3, 4, dtype=torch.float64, requires_grad=True)
    items = torch.randn(2, 3, 4, dtype=torch.float64, requires_grad=True)
    is_token = torch.tensor([[True, True, False], [True, True, True]])

    assert torch.autograd.gradcheck(
        lambda asked, offered: all_mean_maxsims(asked, offered, is_token, is_token).double(),
        (queries, items),
        eps=1e-3,  # the similarities are float32
        atol=1e-3,
    )


def test_a_part_finds_its_text_better_after_some_steps(backbone_folder):
    notebook = Notebook()

    adapt_encoder(
        TEXTS,
        replace(ADAPTATION, steps=60),
        backbone_name=str(backbone_folder),
        surroundings=Surroundings(journal=notebook),
    )

    losses = [figures["adapt/contrast"] for _, figures in notebook.pages]
    assert [step for step, _ in notebook.pages] == list(range(1, 61))
    assert np.mean(losses[-15:]) < 0.8 * np.mean(losses[:15])


def test_the_same_seed_gives_the_same_bits_and_another_seed_others(backbone_folder):
    first, again, other = (
        adapt_encoder(TEXTS, replace(ADAPTATION, seed=seed), backbone_name=str(backbone_folder))
        for seed in (0, 0, 1)
    )

    assert same_bits(first.encoder, again.encoder)
    assert first.card.run["last_loss"] == again.card.run["last_loss"]
    assert not same_bits(first.encoder, other.encoder)


class Stops(Notebook):
    """Ends the run as an interruption would, after so many steps."""

    def __init__(self, after: int) -> None:
        super().__init__()
        self.after = after

    def note(self, step, figures) -> None:
        if step > self.after:
            raise KeyboardInterrupt
        super().note(step, figures)


def test_an_interrupted_run_goes_on_to_the_same_bits(backbone_folder, tmp_path):
    longer = replace(ADAPTATION, steps=adapt.STEPS_PER_STATE + 8)
    state, name = tmp_path / "run.state", str(backbone_folder)
    whole = adapt_encoder(TEXTS, longer, backbone_name=name)
    with pytest.raises(KeyboardInterrupt):
        adapt_encoder(
            TEXTS,
            longer,
            backbone_name=name,
            surroundings=Surroundings(journal=Stops(adapt.STEPS_PER_STATE + 3), state=state),
        )
    assert state.exists()
    with pytest.raises(BadInput, match="expected the state of a run with this recipe and data"):
        adapt_encoder(
            TEXTS,
            replace(longer, seed=5),
            backbone_name=name,
            surroundings=Surroundings(state=state),
        )

    notebook = Notebook()
    resumed = adapt_encoder(
        TEXTS, longer, backbone_name=name, surroundings=Surroundings(journal=notebook, state=state)
    )

    assert notebook.pages[0][0] == adapt.STEPS_PER_STATE + 1
    assert same_bits(whole.encoder, resumed.encoder)
    assert not state.exists()


def test_what_is_written_is_a_backbone_that_students_train_from(backbone_folder, tmp_path):
    adapted = adapt_encoder(TEXTS, ADAPTATION, backbone_name=str(backbone_folder))

    write_adapted(tmp_path / "adapted", adapted)

    found = read_backbone(str(tmp_path / "adapted"))
    assert same_bits(adapted.encoder, found.encoder)
    plain = read_backbone(str(backbone_folder))
    assert not same_bits(plain.encoder, found.encoder)
    typed = "Red [SEP] bottle"
    assert tokens_of(found, typed) == tokens_of(plain, typed)
    card = read_adaptation_card(tmp_path / "adapted")
    assert card == adapted.card
    assert (card.run["queries"], card.run["items"]) == (len(TITLES), len(LONG))
    checkpoint, _, _ = train_student(make_data(), TINY, backbone_name=str(tmp_path / "adapted"))
    from_plain, _, _ = train_student(make_data(), TINY, backbone_name=str(backbone_folder))
    assert not same_bits(checkpoint.student, from_plain.student)


def test_a_folder_that_nobody_adapted_is_named(backbone_folder):
    with pytest.raises(BadInput, match="expected an adapted encoder"):
        read_adaptation_card(backbone_folder)
