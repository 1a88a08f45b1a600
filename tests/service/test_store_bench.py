"""`ellm bench store` measures what it says, leaves nothing behind and refuses a full disk."""

import json
import math
import subprocess
import sys

import pytest

from relevance.errors import BadInput
from service.benchmark.id_bench import measure_ids
from service.benchmark.store_bench import measure_store


@pytest.mark.slow
@pytest.mark.parametrize(("measured", "name"), [("items", "store"), ("ids", "ids")])
def test_the_bench_writes_its_figures_and_removes_its_items(tmp_path, measured, name) -> None:
    words = [f"--{measured}", "5000", "--folder", tmp_path / "disk", "--out", tmp_path / "out"]

    run = subprocess.run(
        [sys.executable, "-m", "relevance", "bench", "store", *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
    )

    assert run.returncode == 0, run.stderr
    figures = json.loads((tmp_path / "out" / f"{name}.json").read_text())
    assert figures[measured] == 5000
    assert all(math.isfinite(figure) for figure in figures.values())
    assert "lookup ms" in (tmp_path / "out" / f"{name}.txt").read_text()
    assert list((tmp_path / "disk").iterdir()) == []


def test_a_disk_too_small_is_told_before_anything_is_written(tmp_path) -> None:
    with pytest.raises(BadInput, match="GB free, got"):
        measure_store(tmp_path, items=10**12, say=lambda part: None)
    with pytest.raises(BadInput, match="GB free, got"):
        measure_ids(tmp_path, ids=10**14, say=lambda part: None)

    assert list(tmp_path.iterdir()) == []
