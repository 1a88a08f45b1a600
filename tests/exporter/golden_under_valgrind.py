"""Run under valgrind, which shows programs a CPU with AVX2 and nothing newer: what do graphs find?

    valgrind --tool=none python -m tests.exporter.golden_under_valgrind FOLDER …

Prints one JSON line: the CPU features NumPy sees, and how many golden maxima differ in each folder.
"""

import json
import sys
from pathlib import Path

from numpy._core._multiarray_umath import __cpu_features__

from exporter.parity import golden_differing


def main(folders: list[str]) -> None:
    seen = {name: bool(__cpu_features__[name]) for name in ("AVX2", "AVX512F", "AVX512_ICL")}
    found = {folder: golden_differing(Path(folder)) for folder in folders}
    sys.stdout.write(json.dumps({"cpu": seen, "differing": found}) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
