"""Writes a sample of scored pairs, beside the requests: a bounded queue and one thread.

Drawing and handing over is all a request pays for. Where the queue is full or the disk refuses,
rows are dropped and counted: answering goes before logging. Files are `journal.py`'s.
"""

import hashlib
import logging
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa

from relevance.experiments.pair_log import SCHEMA, LoggedText, Role
from service.experiments.journal import Journal, remove_old, seal_abandoned
from service.snapshot import Snapshot
from service.work import Ranked

DAY = 86_400.0
FLUSH_S = 1.0  # the most a killed worker loses
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Keeping:
    """How much is logged, for how long and in which files."""

    folder: Path
    rate: float = 0.01
    top: int = 50
    text: LoggedText = LoggedText.HASHED
    hash_key: bytes = b""
    rotate_s: float = 600.0
    rotate_bytes: int = 64 << 20
    days: float = 30.0
    max_bytes: int = 10 << 30


@dataclass(frozen=True, slots=True)
class Logged:
    """One request's rankings, as they were answered or scored in a shadow's place."""

    role: Role
    ranked: Sequence[Ranked]
    snapshot: Snapshot
    request_id: str = ""
    experiment: str = ""
    variant: str = ""
    answered_by: str = ""
    key: str | None = None
    at: float = field(default_factory=time.time)


class PairLog:
    """A queue and the thread that writes it; `close` seals what was written.

    `written` and `lost` count rows.
    """

    def __init__(
        self,
        keeping: Keeping,
        *,
        most_waiting: int = 1000,
        flush_s: float = FLUSH_S,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self.written = 0
        self.lost = 0
        self._keeping = keeping
        self._most = most_waiting
        self._flush_s = flush_s
        self._draw = draw
        self._waiting: deque[Logged] = deque()
        self._end = threading.Event()
        self._journal: Journal | None = None
        keeping.folder.mkdir(parents=True, exist_ok=True)
        self._thread = threading.Thread(target=self._work, name="pair log", daemon=True)
        self._thread.start()

    def wants(self) -> bool:
        """Whether a request is drawn into the sample; asked once for it and all its shadows."""
        return self._draw() < self._keeping.rate

    def put(self, logged: Logged) -> None:
        """Have a request's pairs written."""
        if len(self._waiting) >= self._most:
            self.lost += self._rows_of(logged)
            return
        self._waiting.append(logged)

    def close(self, *, patience: float = 10.0) -> None:
        """Write and seal what waits."""
        self._end.set()
        self._thread.join(patience)

    def _rows_of(self, logged: Logged) -> int:
        return sum(min(len(one.order), self._keeping.top) for one in logged.ranked)

    def _work(self) -> None:
        self._keep_house()
        while not self._end.wait(self._flush_s):
            self._flush()
        self._flush()
        self._rotate()

    def _flush(self) -> None:
        logged = [self._waiting.popleft() for _ in range(len(self._waiting))]
        try:
            if logged:
                self._append(logged)
        except Exception:  # a full disk, say: what is told is lost, and the service answers on
            self.lost += sum(map(self._rows_of, logged))
            self._journal = None
            log.exception("the pair log lost rows")
        if self._is_full():
            self._rotate()

    def _append(self, logged: Sequence[Logged]) -> None:
        rows = [row for one in logged for row in self._rows(one)]
        if not rows:
            return
        if self._journal is None:
            self._journal = Journal(self._keeping.folder)
        columns = zip(*rows, strict=True)
        arrays = [pa.array(c, f.type) for c, f in zip(columns, SCHEMA, strict=True)]
        self._journal.append(pa.record_batch(arrays, schema=SCHEMA))
        self.written += len(rows)

    def _rows(self, logged: Logged) -> Iterator[tuple[object, ...]]:
        keeping, items = self._keeping, logged.snapshot.items
        asked = (int(logged.at * 1000), logged.request_id, logged.experiment)
        answered = (logged.variant, logged.answered_by, logged.role.value, self._key(logged.key))
        origin = (logged.snapshot.bundle.bundle_id, items.generation_id, items.sequence)
        for one in logged.ranked:
            texts = self._texts(one.query)
            best = one.order[: keeping.top]
            scores = np.asarray(one.scores, np.float64)[best].tolist()
            for position, (at, score) in enumerate(zip(best.tolist(), scores, strict=True)):
                shown = (one.ids[at], position, None if score != score else score)
                yield (*asked, *answered, *texts, *shown, *origin, keeping.rate)

    def _texts(self, query: str) -> tuple[str | None, str | None]:
        if self._keeping.text is LoggedText.NONE:
            return None, None
        return (query if self._keeping.text is LoggedText.PLAIN else None), self._hash(query)

    def _key(self, key: str | None) -> str | None:
        if key is None or self._keeping.text is LoggedText.NONE:
            return None
        return key if self._keeping.text is LoggedText.PLAIN else self._hash(key)

    def _hash(self, text: str) -> str:
        """As the request log hashes queries: equal texts stay equal, nobody tries words."""
        secret, data = self._keeping.hash_key, text.encode("utf-8", "surrogatepass")
        return "#" + hashlib.blake2b(data, digest_size=8, key=secret).hexdigest()

    def _is_full(self) -> bool:
        journal, keeping = self._journal, self._keeping
        if journal is None:
            return False
        age = time.monotonic() - journal.opened
        return age >= keeping.rotate_s or journal.bytes >= keeping.rotate_bytes

    def _rotate(self) -> None:
        journal, self._journal = self._journal, None
        try:
            if journal is not None:
                journal.seal()
        except Exception:
            log.exception("%s stays as it is until a worker starts", journal and journal.path)
        self._keep_house()

    def _keep_house(self) -> None:
        """Seal what dead workers left, and remove what is too old or too much."""
        keeping = self._keeping
        try:
            seal_abandoned(keeping.folder)
            age = keeping.days * DAY
            remove_old(keeping.folder, max_age_s=age, max_bytes=keeping.max_bytes)
        except Exception:
            log.exception("the pair log's folder could not be kept in order")
