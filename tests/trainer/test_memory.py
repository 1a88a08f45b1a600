"""Holding on to memory may be asked for anywhere and any number of times."""

import sys

import pytest
import torch

from trainer.memory import keep_freed_memory


def test_memory_is_still_given_and_taken_after_asking_twice():
    keep_freed_memory()
    keep_freed_memory()

    assert torch.ones(1 << 20).sum() == 1 << 20


@pytest.mark.parametrize("platform", ["darwin", "win32"])
def test_other_systems_are_left_alone(monkeypatch, platform):
    monkeypatch.setattr(sys, "platform", platform)

    assert keep_freed_memory() is None
