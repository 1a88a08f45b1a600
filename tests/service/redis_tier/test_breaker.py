"""The breaker: one try after each pause, and longer pauses while tries fail."""

from service.redis_tier.breaker import FIRST_PAUSE_S, LONGEST_PAUSE_S, Breaker


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_it_lets_everyone_pass_until_something_fails() -> None:
    breaker = Breaker(Clock())

    assert breaker.lets_pass()
    breaker.failed()
    assert not breaker.lets_pass()


def test_after_the_pause_one_caller_tries_and_a_success_closes_it() -> None:
    clock = Clock()
    breaker = Breaker(clock)
    breaker.failed()
    clock.now = FIRST_PAUSE_S

    assert [breaker.lets_pass(), breaker.lets_pass()] == [True, False]
    breaker.succeeded()
    assert [breaker.lets_pass(), breaker.lets_pass()] == [True, True]


def test_pauses_double_up_to_a_limit() -> None:
    clock = Clock()
    breaker = Breaker(clock)
    pauses = []
    for _ in range(10):
        breaker.failed()
        began = clock.now
        while not breaker.lets_pass():
            clock.now += FIRST_PAUSE_S
        pauses.append(clock.now - began)

    assert pauses[:3] == [FIRST_PAUSE_S, 2 * FIRST_PAUSE_S, 4 * FIRST_PAUSE_S]
    assert pauses[-1] == LONGEST_PAUSE_S
