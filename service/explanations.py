"""The teachers' reasons for a pair: remembered, waited for with patience, or told why not.

Teachers stand in order: where the first cannot say, the next one may. None can hold up a request
past its deadline, and none gets more calls at once than it has places.
"""

import logging
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import CancelledError, Future
from dataclasses import astuple, dataclass
from threading import BoundedSemaphore, Lock, Thread

import msgspec
import xxhash

from relevance.domain import Item
from relevance.errors import MalformedText, Unavailable
from service.deadline import Deadline
from service.explain_wire import Origin, TeacherState, Tried
from service.listener import Gone, Listener
from service.teacher_door import (
    Explainer,
    Opinion,
    Overloaded,
    WritingExplainer,
    opinion_of,
)

log = logging.getLogger(__name__)

STATE_OF_FAULT: dict[type[BaseException], TeacherState] = {
    TimeoutError: TeacherState.TIMEOUT,
    MalformedText: TeacherState.UNPARSABLE,
    Overloaded: TeacherState.BUDGET,
    Unavailable: TeacherState.UNAVAILABLE,
    CancelledError: TeacherState.UNAVAILABLE,
}
RESERVE_S = 0.05  # of a deadline, for each teacher that may still have to step in
GRACE_S = 1.0  # for a teacher that keeps its own time to say that it is up
Key = tuple[str, str, bytes]


@dataclass(frozen=True, slots=True)
class Reasons:
    """What a teacher said, who it was, and everyone asked until then.

    `threshold` is that of who answered. Where nobody did, the student's alignment has to do.
    """

    tried: tuple[Tried, ...] = ()
    opinion: Opinion | None = None
    threshold: float = 0.5

    @property
    def state(self) -> TeacherState:
        """The first teacher's."""
        return self.tried[0].state if self.tried else TeacherState.UNAVAILABLE

    @property
    def origin(self) -> Origin:
        """Where the reasons come from."""
        return Origin.ALIGNMENT if self.opinion is None else self.tried[-1].origin


@dataclass(frozen=True, slots=True)
class _Seat:
    """A teacher, what kind it is, and its places."""

    teacher: Explainer | WritingExplainer
    places: BoundedSemaphore

    @property
    def origin(self) -> Origin:
        is_writing = isinstance(self.teacher, WritingExplainer)
        return Origin.LLM if is_writing else Origin.CATALOGUE


class Explanations:
    """Teachers with a memory; safe to share between threads.

    `places` bounds the calls at once of each teacher, `patience_s` the wait for one answer; a
    language model keeps both itself. `capacity` bounds the answers remembered (by teacher, query
    and item; a few KB each).
    """

    def __init__(
        self,
        explainers: Sequence[Explainer | WritingExplainer],
        *,
        places: int = 4,
        patience_s: float = 10.0,
        capacity: int = 10_000,
    ) -> None:
        self._seats = [_Seat(one, BoundedSemaphore(places)) for one in explainers]
        self._patience_s = patience_s
        self._capacity = capacity
        self._lock = Lock()
        self._answers: OrderedDict[Key, Opinion] = OrderedDict()

    def __len__(self) -> int:
        return len(self._seats)

    def close(self) -> None:
        """Let go of connections and threads; nothing may be asked afterwards."""
        for seat in self._seats:
            if isinstance(seat.teacher, WritingExplainer):
                seat.teacher.close()

    def ask(
        self, query: str, item: Item, deadline: Deadline, *, listener: Listener | None = None
    ) -> Reasons:
        """Reasons for a normalised query and an item; never raises for a teacher's fault.

        `listener` hears a language model's text as it is written; raises `Gone` when it leaves.
        """
        listener = listener or Listener()
        tried: list[Tried] = []
        item_hash = hash_of(item)
        for place, seat in enumerate(self._seats):
            key = (seat.teacher.fingerprint, query, item_hash)
            opinion, state = self._remembered(key), TeacherState.OK
            if opinion is None:
                wait_s = self.wait_for(place, deadline)
                state, opinion = _called(seat, query, item, wait_s, listener)
            tried.append(Tried(seat.origin, state))
            if opinion is not None:
                self._remember(key, opinion)
                return Reasons(tuple(tried), opinion, seat.teacher.threshold)
        return Reasons(tuple(tried))

    def wait_for(self, place: int, deadline: Deadline) -> float:
        """How many seconds the teacher at `place` may take: the ones after it keep their share."""
        teacher = self._seats[place].teacher
        patience_s = (
            teacher.patience_s + GRACE_S
            if isinstance(teacher, WritingExplainer)
            else self._patience_s
        )
        after = len(self._seats) - place - 1
        return max(min(patience_s, deadline.seconds_left() - after * RESERVE_S), 0.0)

    def _remembered(self, key: Key) -> Opinion | None:
        with self._lock:
            opinion = self._answers.get(key)
            if opinion is not None:
                self._answers.move_to_end(key)
            return opinion

    def _remember(self, key: Key, opinion: Opinion) -> None:
        with self._lock:
            self._answers[key] = opinion
            self._answers.move_to_end(key)
            while len(self._answers) > self._capacity:
                self._answers.popitem(last=False)


def hash_of(item: Item) -> bytes:
    """128 bits over all fields a teacher may read."""
    return xxhash.xxh3_128_digest(msgspec.msgpack.encode(astuple(item)))


def _called(
    seat: _Seat, query: str, item: Item, wait_s: float, listener: Listener
) -> tuple[TeacherState, Opinion | None]:
    try:
        call = _started(seat, query, item, listener)
        return TeacherState.OK, listener.wait(call, wait_s)
    except Gone:
        raise
    except Exception as fault:  # advice must never take down the student's own answer
        return _state_of(fault), None


def _started(seat: _Seat, query: str, item: Item, listener: Listener) -> "Future[Opinion]":
    teacher = seat.teacher
    if isinstance(teacher, WritingExplainer):
        return teacher.start(query, item, listener.hear)
    if not seat.places.acquire(blocking=False):
        raise Overloaded
    answer: Future[Opinion] = Future()

    def judge() -> None:
        outcome = _outcome(teacher, query, item)
        seat.places.release()  # before anyone hears the answer and asks again
        if not answer.set_running_or_notify_cancel():
            return
        if isinstance(outcome, Exception):
            answer.set_exception(outcome)
        else:
            answer.set_result(outcome)

    # A daemon: a teacher that hangs keeps its place, but neither a request nor a shutdown.
    Thread(target=judge, name="teacher", daemon=True).start()
    return answer


def _outcome(explainer: Explainer, query: str, item: Item) -> Opinion | Exception:
    try:
        return opinion_of(explainer.judge(query, item))
    except Exception as fault:
        return fault


def _state_of(fault: Exception) -> TeacherState:
    for kind, state in STATE_OF_FAULT.items():
        if isinstance(fault, kind):
            return state
    log.error("a teacher failed on a pair: %s", type(fault).__name__, exc_info=fault)
    return TeacherState.UNAVAILABLE
