"""Run under valgrind, which shows programs a CPU with AVX2 and nothing newer: what do graphs find?

    valgrind --tool=none python -m tests.exporter.golden_under_valgrind FOLDER …

Prints one JSON line: the CPU features NumPy sees, whether kernels must be told to add exactly, the
sums they find once told, and how many golden maxima differ in each folder.
"""

import json
import sys
from pathlib import Path

import numpy as np
from numpy._core._multiarray_umath import __cpu_features__

from exporter.bundle_scoring import open_session, processor_saturates
from exporter.parity import golden_differing
from relevance.integer_products import INPUTS, LARGEST_STEP, PROBE


def main(folders: list[str]) -> None:
    seen = {name: bool(__cpu_features__[name]) for name in ("AVX2", "AVX512F", "AVX512_ICL")}
    found = {folder: golden_differing(Path(folder)) for folder in folders}
    steps = np.full((3, INPUTS), LARGEST_STEP, np.uint8)
    (sums,) = open_session(PROBE).run(["sums"], {"steps": steps})
    said = {"saturates": processor_saturates(), "sums": np.unique(sums).tolist()}
    sys.stdout.write(json.dumps({"cpu": seen, **said, "differing": found}) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
