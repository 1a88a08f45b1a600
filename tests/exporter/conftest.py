"""One tiny checkpoint and one bundle of it, exported once for all of the exporter's tests."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from hypothesis import settings

from exporter.attempt import CalibrationPairs
from exporter.export import ExportOptions, export_bundle
from relevance.bundle import ENCODER, BundleManifest, Precision
from relevance.folds import read_folds, split
from relevance.records import Pair, read_pairs
from tests.trainer.make_students import CATALOGUE, make_checkpoint, write_backbone, write_shop
from trainer.students.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from trainer.students.colbert import ColBERT

settings.register_profile("no_deadline", deadline=None)
settings.load_profile("no_deadline")

FOLD = 1
FLOAT = ExportOptions(precision=Precision.FP32)


@dataclass(frozen=True, slots=True)
class Shop:
    """The toy shop's files and the pairs that calibrate fold `FOLD`."""

    data: Path
    folds: Path
    calibration: tuple[Pair, ...]


@dataclass(frozen=True, slots=True)
class Exported:
    """A bundle's folder and what its export returned."""

    folder: Path
    manifest: BundleManifest

    def copy_graph(self, path: Path, student: ColBERT) -> None:
        """The float32 graph of the checkpoint that was exported: making it again takes seconds."""
        del student
        shutil.copyfile(self.folder / ENCODER, path)


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def checkpoint_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("checkpoint")
    write_checkpoint(folder / "student", make_checkpoint(write_backbone(folder / "tiny-bert")))
    return folder / "student"


@pytest.fixture(scope="session")
def checkpoint(checkpoint_folder: Path) -> Checkpoint:
    return read_checkpoint(checkpoint_folder)


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    data, folds = write_shop(tmp_path_factory.mktemp("shop"))
    labelled = read_pairs(Path(f"{data}_pairs.parquet"), labelled=True)
    return Shop(data, folds, split(read_folds(folds), labelled, fold=FOLD).validation)


@pytest.fixture(scope="session")
def exported(
    checkpoint: Checkpoint, shop: Shop, tmp_path_factory: pytest.TempPathFactory
) -> Exported:
    folder = tmp_path_factory.mktemp("exported") / "bundle"
    pairs = CalibrationPairs(shop.calibration, CATALOGUE)
    manifest = export_bundle(checkpoint, pairs, folder, source={"data": "shop"}, options=FLOAT)
    return Exported(folder, manifest)
