"""An append-only journal of finished work: what a killed run had done, its next run finds.

One line a record: eight hex digits of CRC-32, then JSON. Every record is handed to the system in
one write, so a killed process leaves whole lines and at most one torn one, which is cut off when
the journal is opened again. What records mean is their writers' business.
"""

import fcntl
import json
import os
import time
import zlib
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from relevance.errors import Unavailable


class Journal:
    """A journal open for appending, locked against a second writer; a context manager.

    `records` are those it held when it was opened. A writer that is about to die is waited for,
    `patience_s` seconds.
    """

    def __init__(self, path: Path, *, patience_s: float = 5.0) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        if not _locked(self._file, patience_s):
            os.close(self._file)
            raise Unavailable(f"{path}: another run is writing this journal")
        self.records, length = _read(path.read_bytes())
        os.ftruncate(self._file, length)

    def append(self, record: Mapping[str, Any]) -> None:
        """Write a record; when this returns it outlives this process."""
        text = json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode()
        line = b"%08x %s\n" % (zlib.crc32(text), text)
        while line:
            line = line[os.write(self._file, line) :]

    def close(self) -> None:
        """Let go of the file and its lock."""
        os.close(self._file)

    def __enter__(self) -> "Journal":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _locked(file: int, patience_s: float) -> bool:
    until = time.monotonic() + patience_s
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= until:
                return False
            time.sleep(0.05)
        else:
            return True


def _read(content: bytes) -> tuple[list[dict[str, Any]], int]:
    """The whole records from the beginning on, and how many bytes they take."""
    records: list[dict[str, Any]] = []
    length = 0
    for line in content.splitlines(keepends=True):
        text = line[9:-1]
        if not line.endswith(b"\n") or line[:9] != b"%08x " % zlib.crc32(text):
            break
        records.append(json.loads(text))
        length += len(line)
    return records, length
