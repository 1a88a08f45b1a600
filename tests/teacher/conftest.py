"""One fitted judge of the hand-made shop, shared by every test here."""

from pathlib import Path

import pytest
from hypothesis import settings

from teacher.online.catalogue import CatalogueJudge
from tests.teacher.make_teacher import written_judge, written_seeing_judge

settings.register_profile("no_deadline", deadline=None)  # a busy machine would trip a clock
settings.load_profile("no_deadline")


@pytest.fixture(scope="session")
def judge_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written_judge(tmp_path_factory.mktemp("judge"))


@pytest.fixture(scope="session")
def seeing_judge(tmp_path_factory: pytest.TempPathFactory) -> CatalogueJudge:
    """One that was fitted with an encoder's and a student's signals."""
    return CatalogueJudge.read(written_seeing_judge(tmp_path_factory.mktemp("seeing_judge")))


@pytest.fixture(scope="session")
def judge(judge_folder: Path) -> CatalogueJudge:
    return CatalogueJudge.read(judge_folder)
