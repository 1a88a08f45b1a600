"""How many Python functions a piece of work calls: a cost that no neighbour on the machine moves.

Wall clocks cannot guard a hot path in CI, and instruction counters are not to be had in most
virtual machines. What makes such a path slow is nearly always work in Python for each candidate,
and that shows here exactly: every call of a Python or C function is counted, loops of NumPy, ONNX
Runtime and msgspec inside themselves are not.
"""

import sys
from collections import Counter
from collections.abc import Callable
from types import FrameType


def calls_of(work: Callable[[], object]) -> Counter[str]:
    """Calls by name, made on this thread while `work` runs."""
    counted = Counter[str]()

    def count(frame: FrameType, event: str, argument: object) -> None:
        if event == "call":
            counted[frame.f_code.co_qualname] += 1
        elif event == "c_call":
            counted[getattr(argument, "__qualname__", str(argument))] += 1

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(before)
    return counted
