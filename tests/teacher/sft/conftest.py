"""One untrained model, and its tokenizer."""

from pathlib import Path
from typing import Any

import pytest

from teacher.sft.models import read_tokenizer
from tests.teacher.sft.make_chains import written_model


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="session")
def tokenizer(model_folder: Path) -> Any:
    return read_tokenizer(str(model_folder))
