"""The teachers' reasons for a pair: remembered, waited for with patience, or told why not.

Teachers stand in order: where the first cannot say, the next one may. None can hold up a request
past its deadline, and none gets more calls at once than it has places.
"""

import logging
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import astuple, dataclass
from threading import BoundedSemaphore, Lock, Thread

import msgspec
import xxhash

from relevance.domain import Item, Judgement
from relevance.errors import MalformedText
from service.deadline import Deadline
from service.teacher_door import Explainer
from service.wire import TeacherState

log = logging.getLogger(__name__)

STATE_OF_FAULT: dict[type[BaseException], TeacherState] = {
    TimeoutError: TeacherState.TIMEOUT,
    MalformedText: TeacherState.UNPARSABLE,
}
RESERVE_S = 0.05  # of a deadline, for each teacher that may still have to step in
Key = tuple[str, str, bytes]


@dataclass(frozen=True, slots=True)
class Reasons:
    """What a teacher said; `state` is the first teacher's, `threshold` that of who answered."""

    state: TeacherState
    judgement: Judgement | None = None
    threshold: float = 0.5


class Explanations:
    """Teachers with a memory; safe to share between threads.

    `places` bounds the calls at once of each teacher, `patience_s` the wait for one answer,
    `capacity` the answers remembered (by teacher, query and item; a few KB each).
    """

    def __init__(
        self,
        explainers: Sequence[Explainer],
        *,
        places: int = 4,
        patience_s: float = 10.0,
        capacity: int = 10_000,
    ) -> None:
        self._teachers = [(one, BoundedSemaphore(places)) for one in explainers]
        self._patience_s = patience_s
        self._capacity = capacity
        self._lock = Lock()
        self._answers: OrderedDict[Key, Judgement] = OrderedDict()

    def ask(self, query: str, item: Item, deadline: Deadline) -> Reasons:
        """Reasons for a normalised query and an item; never raises for a teacher's fault."""
        states = []
        item_hash = hash_of(item)
        for place, (explainer, _) in enumerate(self._teachers):
            key = (explainer.fingerprint, query, item_hash)
            judgement = self._remembered(key)
            state = TeacherState.OK
            if judgement is None:
                state, judgement = self._call(place, query, item, deadline)
            states.append(state)
            if judgement is not None:
                self._remember(key, judgement)
                return Reasons(states[0], judgement, explainer.threshold)
        return Reasons(states[0] if states else TeacherState.UNAVAILABLE)

    def wait_for(self, place: int, deadline: Deadline) -> float:
        """How many seconds the teacher at `place` may take: the ones after it keep their share."""
        after = len(self._teachers) - place - 1
        return max(min(self._patience_s, deadline.seconds_left() - after * RESERVE_S), 0.0)

    def _call(
        self, place: int, query: str, item: Item, deadline: Deadline
    ) -> tuple[TeacherState, Judgement | None]:
        explainer, places = self._teachers[place]
        if not places.acquire(blocking=False):
            return TeacherState.BUDGET, None
        answer: Future[Judgement | Exception] = Future()

        def judge() -> None:
            outcome = _outcome(explainer, query, item)
            places.release()  # before anyone hears the answer and asks again
            answer.set_result(outcome)

        # A daemon: a teacher that hangs keeps its place, but neither a request nor a shutdown.
        Thread(target=judge, name="teacher", daemon=True).start()
        try:
            outcome = answer.result(self.wait_for(place, deadline))
        except TimeoutError:
            return TeacherState.TIMEOUT, None
        if isinstance(outcome, Exception):
            return _state_of(outcome), None
        return TeacherState.OK, outcome

    def _remembered(self, key: Key) -> Judgement | None:
        with self._lock:
            judgement = self._answers.get(key)
            if judgement is not None:
                self._answers.move_to_end(key)
            return judgement

    def _remember(self, key: Key, judgement: Judgement) -> None:
        with self._lock:
            self._answers[key] = judgement
            self._answers.move_to_end(key)
            while len(self._answers) > self._capacity:
                self._answers.popitem(last=False)


def hash_of(item: Item) -> bytes:
    """128 bits over all fields a teacher may read."""
    return xxhash.xxh3_128_digest(msgspec.msgpack.encode(astuple(item)))


def _outcome(explainer: Explainer, query: str, item: Item) -> Judgement | Exception:
    try:
        return explainer.judge(query, item)
    except Exception as fault:  # advice must never take down the student's own answer
        return fault


def _state_of(fault: Exception) -> TeacherState:
    for kind, state in STATE_OF_FAULT.items():
        if isinstance(fault, kind):
            return state
    log.error("a teacher failed on a pair: %s", type(fault).__name__, exc_info=fault)
    return TeacherState.UNAVAILABLE
