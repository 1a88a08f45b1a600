"""Two processes train as one: the same gradients, and after fifty steps the same student."""

import os
import socket
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import multiprocessing, nn

from tests.trainer.make_students import random_examples
from tests.trainer.test_train import DISTILLING, make_data
from trainer.batches import make_batch, split_step
from trainer.losses.mkd import mkd_loss
from trainer.material import start_student
from trainer.recipes import CotLoss, Precision
from trainer.students.backbone import read_backbone
from trainer.totals import Totals, count_totals
from trainer.train import Surroundings, train_student
from trainer.world import World, joined_world

# One look, at the end: of several nearly equal ones rounding would choose another.
FIFTY = replace(
    DISTILLING, steps=50, evaluations=1, learning_rate=1e-4, precision=Precision.FLOAT32
)
STUDENTS = {
    "colbert": replace(FIFTY, lambda_aligned=0.1, lambda_listwise=0.2),
    "bert": replace(FIFTY, student="bert", cot=CotLoss.TAGGING),
}


def test_a_world_of_one_changes_nothing():
    totals, module = count_totals(random_examples(0, 5)), nn.Linear(2, 1)
    module.weight.grad = torch.ones(1, 2)

    with joined_world() as world:
        assert (world.rank, world.size, world.first) == (0, 1, True)
        assert world.total(totals) is totals
        world.sum_gradients(module)

    assert module.weight.grad.tolist() == [[1, 1]]
    assert module.bias.grad is None


def test_totals_survive_being_packed_and_add_up_as_their_examples_do():
    halves = [random_examples(seed, 9) for seed in (1, 2)]
    for half, number in zip(halves, "ab", strict=True):
        half[:] = [replace(example, query=number + example.query) for example in half]

    packed = sum(count_totals(half).packed() for half in halves)

    whole, found = count_totals([*halves[0], *halves[1]]), Totals.unpacked(packed)
    assert torch.equal(found.packed(), whole.packed())
    assert torch.equal(found.group_weights(0.3), whole.group_weights(0.3))


@pytest.mark.slow
def test_two_processes_have_the_gradients_of_one_though_evidence_is_uneven(
    backbone_folder, tmp_path
):
    examples = [
        *random_examples(5, 16),
        *(
            replace(e, cells=(), query_factors=(0,) * 4, log_odds=None)
            for e in random_examples(6, 3)
            if len(e.query_factors) == 4
        ),
    ]
    torch.save(examples, tmp_path / "examples")

    spawn(_gradients, backbone_folder, tmp_path)

    alone = _gradients_of(World(), backbone_folder, examples)
    together = torch.load(tmp_path / "gradients0", weights_only=True)
    assert alone.keys() == together.keys()
    for name, gradient in alone.items():
        assert (together[name] - gradient).abs().max() < 1e-5, name


@pytest.mark.slow
@pytest.mark.parametrize("kind", STUDENTS)
def test_two_processes_are_one_after_fifty_steps(kind, backbone_folder, tmp_path):
    spawn(_train, backbone_folder, tmp_path, kind)

    alone, curve, _ = train_student(make_data(), STUDENTS[kind], backbone_name=str(backbone_folder))

    torch.use_deterministic_algorithms(False)
    first, second = (torch.load(tmp_path / f"student{rank}", weights_only=True) for rank in (0, 1))
    assert all(torch.equal(first[name], second[name]) for name in first)
    for name, tensor in alone.student.state_dict().items():
        if "key.bias" not in name:  # softmax ignores it: its gradient is rounding alone
            assert (first[name] - tensor).abs().max() < 1e-5, name
    assert len(curve) == STUDENTS[kind].evaluations


def spawn(work, *arguments) -> None:
    """Run `work(rank, *arguments)` in two processes that find each other as under torchrun."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    multiprocessing.spawn(_as_rank, (work, port, sys.path, arguments), nprocs=2)


def _as_rank(rank, work, port, path, arguments) -> None:
    sys.path[:] = path
    os.environ |= {
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": "2",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
    }
    torch.set_num_threads(1)
    with joined_world() as world:
        work(world, *arguments)


def _gradients(world: World, backbone_folder: Path, folder: Path) -> None:
    examples = torch.load(folder / "examples", weights_only=False)
    found = _gradients_of(world, backbone_folder, examples)
    torch.save(found, folder / f"gradients{world.rank}")


def _gradients_of(world: World, backbone_folder: Path, examples) -> dict[str, torch.Tensor]:
    recipe = STUDENTS["colbert"]
    student = start_student(read_backbone(str(backbone_folder)), examples, recipe)
    parts = split_step(examples, most_pairs=4, parts=world.size)
    own = [part for part in parts[world.rank :: world.size] if part]
    totals = world.total(count_totals([example for part in own for example in part]))
    for part in own:
        batch = make_batch(part, human_share=recipe.human_share, totals=totals)
        mkd_loss(student, batch, recipe)[0].backward()
    world.sum_gradients(student)
    return {n: p.grad for n, p in student.named_parameters() if p.grad is not None}


def _train(world: World, backbone_folder: Path, folder: Path, kind: str) -> None:
    checkpoint, _, _ = train_student(
        make_data(),
        STUDENTS[kind],
        backbone_name=str(backbone_folder),
        surroundings=Surroundings(world=world),
    )
    torch.save(checkpoint.student.state_dict(), folder / f"student{world.rank}")


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    yield
    torch.use_deterministic_algorithms(False)
