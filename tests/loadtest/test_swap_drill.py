import json

import pytest

from loadtest.open_loop import Answer
from loadtest.swap_drill import BODIES, Plan, judged, two_generations
from relevance.errors import BadInput
from relevance.generation import Current, StorePaths, switch_current

PLAN = Plan(per_second=10, candidates=1, swaps=1, workers=2, cold=False, port=1)


def answer(number: int, generation: str, *, status: int = 200, body: bytes | None = None) -> Answer:
    due = number / 10
    content = body or json.dumps({"generation": generation, "n": number % BODIES}).encode()
    return Answer(number, due, due + 0.01, status, content)


def expected(generation: str) -> list[bytes]:
    return [json.dumps({"generation": generation, "n": n}).encode() for n in range(BODIES)]


def test_right_answers_of_either_generation_pass_and_the_time_to_agree_is_told() -> None:
    answers = [answer(n, "old" if n < 8 else "new") for n in range(20)]

    report = judged(answers, [(0.5, "new")], {"old": expected("old"), "new": expected("new")}, PLAN)

    assert (report.failed, report.wrong, report.requests) == (0, 0, 20)
    assert report.agree_max_s == pytest.approx(0.2)
    assert report.swapping_p50_ms == pytest.approx(10)


def test_a_failed_a_wrong_and_a_mixed_answer_are_counted() -> None:
    answers = [answer(n, "old") for n in range(10)]
    answers[3] = answer(3, "old", status=0, body=b"gone")
    answers[4] = answer(4, "new", body=json.dumps({"generation": "new", "n": 99}).encode())
    answers[5] = answer(5, "new", body=expected("new")[6])

    report = judged(answers, [(0.0, "new")], {"old": expected("old"), "new": expected("new")}, PLAN)

    assert (report.failed, report.wrong) == (1, 2)


def test_a_drill_needs_two_generations(tmp_path) -> None:
    store = StorePaths(tmp_path)
    for name in ("20260101-a", "20260102-b"):
        store.generation(name).mkdir(parents=True)
    switch_current(store, Current(generation="20260101-a", bundle="0" * 16))
    (store.generation("20260102-b")).rmdir()

    with pytest.raises(BadInput, match="expected two generations, got one: 20260101-a"):
        two_generations(store)
