"""The integer graphs on a CPU with AVX2 and nothing newer, as valgrind shows one."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from exporter.golden import write_golden
from exporter.maxsim_graph import write_maxsim_graph
from relevance.bundle import GOLDEN, MAXSIM
from relevance.integer_products import INPUTS, LARGEST_STEP, LARGEST_WEIGHT

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_the_golden_maxima_are_exact_where_kernels_add_in_sixteen_bits(tmp_path):
    folders = {bits: tmp_path / str(bits) for bits in (8, 4)}
    for bits, folder in folders.items():
        folder.mkdir()
        write_maxsim_graph(folder / MAXSIM, dim=128, bits=bits)
        write_golden(folder / GOLDEN, dim=128, rows=32, bits=bits)

    program = [sys.executable, "-m", "tests.exporter.golden_under_valgrind"]
    done = subprocess.run(
        ["valgrind", "--tool=none", "-q", *program, *map(str, folders.values())],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )

    found = json.loads(done.stdout)
    assert found["cpu"] == {"AVX2": True, "AVX512F": False, "AVX512_ICL": False}
    assert found["saturates"]
    assert found["sums"] == [INPUTS * LARGEST_STEP * LARGEST_WEIGHT]
    assert set(found["differing"].values()) == {0}
    assert len(found["differing"]) == 2
