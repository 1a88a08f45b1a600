from dataclasses import replace

import numpy as np

from service.encoder import TokenEmbeddings
from service.self_check import SelfCheck, golden_pair


class Clock:
    """Seconds that pass when told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Drifting:
    """An encoder that answers as another one does, until it is told to err."""

    def __init__(self, encoder) -> None:
        self._encoder = encoder
        self.errs = False

    def tokenise(self, text, *, limit):
        return self._encoder.tokenise(text, limit=limit)

    def encode(self, text, *, limit):
        right = self._encoder.encode(text, limit=limit)
        vectors = np.nextafter(right.vectors, 2.0) if self.errs else right.vectors
        return TokenEmbeddings(vectors, right.offsets, right.truncated)


def test_an_encoder_whose_last_bit_changes_is_noticed_and_its_return_too(snapshot) -> None:
    drifting = Drifting(snapshot.encoder)
    drifts = replace(snapshot, encoder=drifting)
    golden, check = golden_pair(drifts), SelfCheck(interval=5, clock=Clock())

    check.run(golden, drifts)
    assert (check.fault, check.is_wrong) == (None, False)

    drifting.errs = True
    check.run(golden, drifts)
    assert check.is_wrong
    assert check.fault == "the encoder answers the golden query otherwise than at start"

    drifting.errs = False
    check.run(golden, drifts)
    assert (check.fault, check.is_wrong) == (None, False)


def test_a_check_that_is_overdue_is_a_fault_but_no_proof_of_wrong_answers(snapshot) -> None:
    clock = Clock()
    check = SelfCheck(interval=5, clock=clock)

    clock.now = 15.0
    assert check.fault is None
    clock.now = 15.1
    assert check.fault == "no check passed for 15 s"
    assert not check.is_wrong

    check.run(golden_pair(snapshot), snapshot)
    assert check.fault is None
    assert check.age == 0.0


def test_a_busy_machine_gets_ten_seconds_however_short_the_interval() -> None:
    clock = Clock()
    check = SelfCheck(interval=0.1, clock=clock)

    clock.now = 10.0
    assert check.fault is None
    clock.now = 10.1
    assert check.fault is not None
