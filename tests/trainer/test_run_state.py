"""An interrupted training goes on to the same bits; another run's state is refused."""

from dataclasses import replace

import pytest
import torch

from relevance.errors import BadInput
from tests.trainer.test_train import DISTILLING, TINY, make_data
from trainer.journal import Notebook
from trainer.recipes import CotLoss
from trainer.run_state import fingerprint_of, read_state
from trainer.train import Surroundings, train_student

LONGER = replace(DISTILLING, steps=10, evaluations=5, averaged=3)
RECIPES = {
    "colbert": LONGER,
    "colbert in parts": replace(LONGER, micro_pairs=30, heads=(8,)),
    "bert": replace(LONGER, student="bert", cot=CotLoss.TAGGING, averaged=0),
}


class PowerCut(Exception):
    """Pulls the plug."""


class Fuse:
    """A journal that ends the process's life after a step."""

    def __init__(self, step: int) -> None:
        self.step = step

    def note(self, step: int, figures: object) -> None:
        if step == self.step:
            raise PowerCut


@pytest.fixture(autouse=True)
def _as_before():
    yield
    torch.use_deterministic_algorithms(False)


@pytest.fixture
def train(backbone_folder):
    def trained(recipe, **around):
        return train_student(
            make_data(),
            recipe,
            backbone_name=str(backbone_folder),
            surroundings=Surroundings(**around),
        )

    return trained


@pytest.mark.parametrize(
    ("name", "cut_after"), [("colbert", 1), ("colbert", 9), ("colbert in parts", 5), ("bert", 10)]
)
def test_interrupted_and_resumed_is_uninterrupted_to_the_same_bits(
    train, name, cut_after, tmp_path
):
    recipe, state = RECIPES[name], tmp_path / "run.state"
    whole, curve, counts = train(recipe)

    with pytest.raises(PowerCut):
        train(recipe, state=state, journal=Fuse(cut_after))
    resumed, resumed_curve, resumed_counts = train(recipe, state=state)

    expected = whole.student.state_dict()
    assert all(torch.equal(t, expected[n]) for n, t in resumed.student.state_dict().items())
    assert (resumed_curve, resumed_counts) == (curve, counts)
    assert not state.exists()


def test_what_was_done_before_the_cut_is_not_done_again(train, tmp_path):
    state, before, after = tmp_path / "run.state", Notebook(), Notebook()
    train(LONGER, journal=before)

    with pytest.raises(PowerCut):
        train(LONGER, state=state, journal=Fuse(7))
    train(LONGER, state=state, journal=after)

    steps = [step for step, figures in after.pages if "train/label" in figures]
    assert steps == [7, 8, 9, 10]
    assert after.pages[0] in before.pages


@pytest.mark.parametrize("changes", [{"learning_rate": 1e-4}, {"seed": 1}, {"human_share": 0.2}])
def test_the_state_of_another_run_is_refused(train, changes, tmp_path):
    state = tmp_path / "run.state"
    with pytest.raises(PowerCut):
        train(LONGER, state=state, journal=Fuse(3))

    with pytest.raises(BadInput, match=r"(?s)this recipe and data.*hint: remove it"):
        train(replace(LONGER, **changes), state=state)
    assert state.exists()


@pytest.mark.parametrize("content", [b"", b"not a state", b"PK\x03\x04 half"])
def test_a_damaged_state_is_named(content, tmp_path):
    path = tmp_path / "run.state"
    path.write_bytes(content)

    with pytest.raises(BadInput, match=f"{path}: expected the state of a run"):
        read_state(path, fingerprint="any")


def test_a_state_of_something_else_is_refused(tmp_path):
    torch.save({"format": "other/1"}, tmp_path / "run.state")

    with pytest.raises(BadInput, match="another format"):
        read_state(tmp_path / "run.state", fingerprint="any")


def test_the_fingerprint_is_of_the_recipe_the_backbone_and_the_data():
    found = {
        fingerprint_of(TINY, "a", [1]),
        fingerprint_of(replace(TINY, steps=7), "a", [1]),
        fingerprint_of(TINY, "b", [1]),
        fingerprint_of(TINY, "a", [2]),
    }

    assert len(found) == 4
    assert fingerprint_of(TINY, "a", [1]) in found
