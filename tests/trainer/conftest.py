"""One tiny random BERT for all of the trainer's tests, on one thread, without a clock."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch
from hypothesis import settings

from tests.trainer.make_students import write_backbone
from trainer.students.backbone import Backbone, read_backbone

if TYPE_CHECKING:
    from tests.trainer.make_report import Example

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


@pytest.fixture(scope="session")
def example(tmp_path_factory: pytest.TempPathFactory) -> "Example":
    """A synthetic run, as the report reads it."""
    from tests.trainer.make_report import make_example  # draws: only the report's tests want it

    return make_example(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="session")
def page(example: "Example") -> str:
    """That run's page."""
    return example.page()
