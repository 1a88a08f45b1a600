"""The serving environment, made from nothing but the `service` extra, has no torch and serves."""

import subprocess
import sys
from pathlib import Path

import pytest

from relevance.demo.live import serving
from tests.end_to_end.conftest import DEMO

pytestmark = [pytest.mark.slow, pytest.mark.network]

HEAVY = ("torch", "transformers", "onnx", "sklearn", "vllm")


@pytest.fixture(scope="module")
def service_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    environment = tmp_path_factory.mktemp("service") / "venv"
    subprocess.run([sys.executable, "-m", "venv", str(environment)], check=True)
    python = environment / "bin" / "python"
    install = ["-m", "pip", "install", "-q", ".[service]", "-c", "constraints.txt"]
    subprocess.run([str(python), *install], check=True)
    return python


def test_the_service_extra_brings_no_training_stack(service_python: Path) -> None:
    script = f"import importlib.util as u; print([m for m in {HEAVY} if u.find_spec(m)])"

    found = subprocess.run(
        [str(service_python), "-c", script], capture_output=True, text=True, check=True
    )

    assert found.stdout.strip() == "[]"


def test_it_serves_the_demos_store(service_python: Path, demo_output: str, tmp_path: Path) -> None:
    store, teacher = (DEMO / "latest" / name for name in ("store", "teacher"))

    with serving(store, teacher, tmp_path / "log", python=service_python) as answers:
        ranked = answers.post("/score", {"query": "red mug", "item_ids": ["S000001"]})
        explained = answers.post("/explain", {"query": "red mug", "item_id": "S000001"})

    assert ranked["results"][0]["status"] == "ok"
    assert explained["teacher"]["state"] == "ok"
    assert "Final judgment:" in explained["chain_of_thought"]


def test_training_without_its_extra_says_what_to_install(service_python: Path) -> None:
    words = ["train", "student", "--data", "x", "--folds", "x", "--fold", "0", "--recipe", "ce"]
    refused = subprocess.run(
        [str(service_python), "-m", "relevance", *words, "--out", "x"],
        capture_output=True,
        text=True,
    )

    assert refused.returncode == 1
    assert "hint: pip install 'ellm-mkd[trainer]'" in refused.stderr
