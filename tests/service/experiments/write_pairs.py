"""A process that logs numbered requests until it is killed, and says what it has written.

write_pairs.py FOLDER SNAPSHOT_NAME
"""

import sys
from pathlib import Path

from relevance.experiments.pair_log import LoggedText
from service.experiments.pair_log import Keeping, PairLog
from tests.service.experiments.logged import logged


def main() -> None:
    log = PairLog(
        Keeping(Path(sys.argv[1]), rate=1.0, text=LoggedText.PLAIN, rotate_bytes=40_000),
        flush_s=0.001,
    )
    number, told = 0, 0
    while True:
        log.put(logged(f"query {number}"))
        number += 1
        if log.written > told:
            told = log.written
            sys.stdout.write(f"{told}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
