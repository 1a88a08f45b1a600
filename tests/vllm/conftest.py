"""What every test on the real engine rests on: made once a run, kept under `build/vllm`."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.vllm.engine import serving
from tests.vllm.proof import PLACE, Shops, made_models, made_shops
from tests.vllm.side_by_side import Judged


@pytest.fixture(scope="session")
def shops() -> Shops:
    PLACE.mkdir(parents=True, exist_ok=True)
    return made_shops()


@pytest.fixture(scope="session")
def models(shops: Shops) -> dict[str, Path]:
    return made_models(shops)


@pytest.fixture(scope="session")
def judged(shops: Shops) -> Judged:
    return Judged(shops)


@pytest.fixture(scope="session")
def address(models: dict[str, Path]) -> Iterator[str]:
    """Where the tuned model is served."""
    with serving(models["cot"], PLACE / "engine-cot.log") as found:
        yield found
