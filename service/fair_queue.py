"""A bounded queue in front of a few slots, shared fairly: clients take turns, not requests.

A slot goes to the client whose turn it is, so one that floods the queue waits behind itself. Where
the queue is full, the newest request of the client with the most waiting ones is turned away. For
one event loop; who a client is, and what it is told, is decided elsewhere.
"""

import asyncio
import math
import time
from collections import OrderedDict, deque

Turn = asyncio.Future[None]


class Overloaded(Exception):
    """No slot within bounds; `reason` is `full` or `waited`, `retry_after` whole seconds."""

    def __init__(self, reason: str, *, retry_after: int) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry_after = retry_after


class FairQueue:
    """`slots` requests run, at most `waiting` wait, none longer than `max_wait` seconds."""

    def __init__(self, *, slots: int, waiting: int, max_wait: float) -> None:
        self.slots = slots
        self.running = 0
        self.depth = 0
        self._waiting = waiting
        self._max_wait = max_wait
        self._turns: OrderedDict[str, deque[Turn]] = OrderedDict()
        self._seconds_each = 0.0  # a moving mean of how long a slot is held

    def check(self, client: str) -> None:
        """Raise `Overloaded` where `enter` would refuse at once: before a body is read."""
        if self._is_full() and self._longest_but(client) is None:
            raise self._overloaded("full")

    async def enter(self, client: str) -> float:
        """Wait for a slot; returns the seconds waited, raises `Overloaded`."""
        if self.running < self.slots:  # then nobody waits: a freed slot goes to a waiting one
            self.running += 1
            return 0.0
        turn = self._line_up(client)
        started = time.monotonic()
        timer = asyncio.get_running_loop().call_later(self._max_wait, self._expire, client, turn)
        try:
            await turn
        except asyncio.CancelledError:
            self._forget(client, turn)
            raise
        finally:
            timer.cancel()
        return time.monotonic() - started

    def leave(self, *, held: float) -> None:
        """Give a slot back after `held` seconds; the next client in turn gets it."""
        self._seconds_each += 0.1 * (held - self._seconds_each)
        while self._turns:
            turn = self._next_turn()
            if not turn.done():  # a cancelled one stands here until its task has run
                turn.set_result(None)
                return
        self.running -= 1

    def retry_after(self) -> int:
        """Whole seconds until the queue as it stands will have been worked off; at least 1."""
        return max(1, math.ceil((self.depth + self.slots) * self._seconds_each / self.slots))

    def _line_up(self, client: str) -> Turn:
        if self._is_full():
            longest = self._longest_but(client)
            if longest is None:
                raise self._overloaded("full")
            self._turn_away(longest, self._turns[longest][-1], "full")
        turn: Turn = asyncio.get_running_loop().create_future()
        self._turns.setdefault(client, deque()).append(turn)
        self.depth += 1
        return turn

    def _next_turn(self) -> Turn:
        client, turns = next(iter(self._turns.items()))
        turn = turns.popleft()
        self.depth -= 1
        if turns:
            self._turns.move_to_end(client)
        else:
            del self._turns[client]
        return turn

    def _is_full(self) -> bool:
        return self.running >= self.slots and self.depth >= self._waiting

    def _longest_but(self, client: str) -> str | None:
        """Who has more waiting than `client` would have with one more; None where nobody has."""
        if not self._turns:
            return None
        longest = max(self._turns, key=lambda name: len(self._turns[name]))
        own = len(self._turns.get(client, ()))
        return longest if len(self._turns[longest]) > own + 1 else None

    def _expire(self, client: str, turn: Turn) -> None:
        if not turn.done():
            self._turn_away(client, turn, "waited")

    def _turn_away(self, client: str, turn: Turn, reason: str) -> None:
        self._remove(client, turn)
        if not turn.done():
            turn.set_exception(self._overloaded(reason))

    def _forget(self, client: str, turn: Turn) -> None:
        """A waiting request was cancelled; where it had just got a slot, that one is free again."""
        if turn.done() and not turn.cancelled() and turn.exception() is None:
            self.leave(held=self._seconds_each)
        elif turn in self._turns.get(client, ()):
            self._remove(client, turn)

    def _remove(self, client: str, turn: Turn) -> None:
        turns = self._turns[client]
        turns.remove(turn)
        self.depth -= 1
        if not turns:
            del self._turns[client]

    def _overloaded(self, reason: str) -> Overloaded:
        return Overloaded(reason, retry_after=self.retry_after())
