"""One tiny random BERT for all of the trainer's tests, on one thread, without a clock."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import settings

from tests.trainer.make_students import write_backbone
from trainer.students.backbone import Backbone, read_backbone

settings.register_profile("no_deadline", deadline=None)
settings.load_profile("no_deadline")


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # tiny tensors are slower on many
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def backbone_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_backbone(tmp_path_factory.mktemp("backbone") / "tiny-bert")


@pytest.fixture(scope="session")
def backbone(backbone_folder: Path) -> Backbone:
    return read_backbone(str(backbone_folder))


@pytest.fixture(scope="session")
def wide_backbone_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As wide as the recipes' projection."""
    return write_backbone(tmp_path_factory.mktemp("backbone") / "wide-bert", hidden=128)
