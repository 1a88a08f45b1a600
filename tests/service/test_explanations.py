import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relevance.domain import Item, Judgement
from relevance.errors import MalformedText
from service.deadline import Deadline
from service.explain_wire import TeacherState
from service.explanations import RESERVE_S, Explanations, hash_of
from service.fakes import WordJudge

ITEM = Item("B001", "Steel bottle", attributes=(("size", "4"),))
TEXTS = st.text("ab ", max_size=3)
ITEMS = st.builds(
    Item,
    item_id=TEXTS,
    title=TEXTS,
    brand=TEXTS,
    description=TEXTS,
    attributes=st.lists(st.tuples(TEXTS, TEXTS), max_size=2).map(tuple),
)


@dataclass
class ToldJudge:
    """Raises what it is told to raise, else judges; counts its calls."""

    fault: Exception | None = None
    fingerprint: str = "told/1"
    threshold: float = 0.5
    calls: list[str] = field(default_factory=list)

    def judge(self, query: str, item: Item) -> Judgement:
        self.calls.append(query)
        if self.fault is not None:
            raise self.fault
        return WordJudge(fingerprint=self.fingerprint).judge(query, item)


class HeldJudge(ToldJudge):
    """Answers only when let go."""

    def __init__(self) -> None:
        super().__init__()
        self.started, self.let_go = threading.Event(), threading.Event()

    def judge(self, query: str, item: Item) -> Judgement:
        self.started.set()
        self.let_go.wait(20)
        return super().judge(query, item)


@pytest.mark.parametrize(
    ("fault", "state"),
    [
        (None, "ok"),
        (TimeoutError("30 s"), "timeout"),
        (MalformedText("expected `Good`", position=3), "unparsable"),
        (ConnectionError("refused"), "unavailable"),
        (ZeroDivisionError("a bug"), "unavailable"),
    ],
)
def test_each_fault_of_a_teacher_has_its_state(fault, state) -> None:
    reasons = Explanations([ToldJudge(fault)]).ask("steel", ITEM, Deadline())

    assert reasons.state == state
    assert (reasons.opinion is None) == (fault is not None)


def test_without_teachers_reasons_are_unavailable() -> None:
    assert Explanations([]).ask("steel", ITEM, Deadline()).state == TeacherState.UNAVAILABLE


def test_the_next_teacher_steps_in_and_the_state_stays_the_firsts() -> None:
    second = ToldJudge(fingerprint="second/1", threshold=0.3)
    explanations = Explanations([ToldJudge(ConnectionError()), second])

    reasons = explanations.ask("steel", ITEM, Deadline())

    assert reasons.state == TeacherState.UNAVAILABLE
    assert reasons.opinion is not None
    assert (reasons.opinion.fingerprint, reasons.threshold) == ("second/1", 0.3)


def test_an_answer_is_remembered_and_a_fault_is_not() -> None:
    judge = ToldJudge()
    explanations = Explanations([judge])

    first = explanations.ask("steel", ITEM, Deadline())
    judge.fault = ConnectionError()
    again = explanations.ask("steel", ITEM, Deadline())
    other = explanations.ask("oak", ITEM, Deadline())
    judge.fault = None
    recovered = explanations.ask("oak", ITEM, Deadline())

    assert again == first
    assert (other.state, recovered.state) == ("unavailable", "ok")
    assert judge.calls == ["steel", "oak", "oak"]


def test_a_changed_item_or_teacher_is_asked_anew() -> None:
    judge = ToldJudge()
    explanations = Explanations([judge])

    explanations.ask("steel", ITEM, Deadline())
    explanations.ask("steel", replace(ITEM, brand="Acme"), Deadline())
    judge.fingerprint = "told/2"
    explanations.ask("steel", ITEM, Deadline())

    assert len(judge.calls) == 3


def test_the_memory_is_bounded_and_forgets_what_was_unused_for_longest() -> None:
    judge = ToldJudge()
    explanations = Explanations([judge], capacity=2)

    for query in ("a", "b", "a", "c", "a", "b"):
        explanations.ask(query, ITEM, Deadline())

    assert judge.calls == ["a", "b", "c", "b"]


def test_a_teacher_that_hangs_costs_the_deadline_and_its_place_and_no_more() -> None:
    held = HeldJudge()
    explanations = Explanations([held, ToldJudge(fingerprint="second/1")], places=1)
    over = Deadline(at=0.0, clock=lambda: 1.0)

    late = explanations.ask("steel", ITEM, over)
    busy = explanations.ask("steel", ITEM, Deadline())
    held.let_go.set()

    assert late.state == "timeout"
    assert busy.state == "budget"
    assert busy.opinion is not None
    assert busy.opinion.fingerprint == "second/1"


@given(left=st.floats(0, 100), patience=st.floats(0, 100))
def test_earlier_teachers_leave_time_for_later_ones(left, patience) -> None:
    explanations = Explanations([ToldJudge(), ToldJudge(), ToldJudge()], patience_s=patience)
    deadline = Deadline(at=left, clock=lambda: 0.0)

    waits = [explanations.wait_for(place, deadline) for place in range(3)]

    assert waits == [max(min(patience, left - n * RESERVE_S), 0.0) for n in (2, 1, 0)]


def test_a_place_is_free_again_once_its_teacher_answered() -> None:
    held = HeldJudge()
    explanations = Explanations([held], places=1)

    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(explanations.ask, "steel", ITEM, Deadline())
        held.started.wait(20)
        assert explanations.ask("oak", ITEM, Deadline()).state == "budget"
        held.let_go.set()
        assert waiting.result(20).state == "ok"

    assert explanations.ask("oak", ITEM, Deadline()).state == "ok"


@given(first=ITEMS, second=ITEMS)
def test_items_share_a_hash_only_when_they_are_equal(first, second) -> None:
    assert (hash_of(first) == hash_of(second)) == (first == second)
