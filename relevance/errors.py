"""Every exception this project raises on purpose, as one tree.

    RelevanceError
    ├── BadInput          a file, option or value from outside is wrong        exit code 2
    │   └── MalformedText a text that should follow a grammar does not (position)
    ├── BadBundle         a bundle is damaged, foreign or of another version   exit code 3
    ├── BadGeneration     likewise a generation of item embeddings             exit code 3
    ├── GateRefused       a measured gate said no (parity, weak teacher)       exit code 4
    └── Unavailable       a port, lock or service could not be had             exit code 5

A message says what was expected, what came and where; a hint for the reader stands on a line
of its own as `hint: …`. Bugs are not in this tree: they keep Python's own exceptions.
"""

from functools import partial
from typing import Any


class RelevanceError(Exception):
    """The root; `exit_code` is what `ellm` exits with when nothing caught it."""

    exit_code = 1


class BadInput(RelevanceError):
    """Something handed to us from outside cannot be used."""

    exit_code = 2


class MalformedText(BadInput):
    """A text does not follow its grammar; `position` is the character offset of the fault."""

    def __init__(self, message: str, *, position: int) -> None:
        super().__init__(f"{message} (at character {position})")
        self.message = message
        self.position = position

    def __reduce__(self) -> tuple[Any, ...]:
        """It may come home from another process: pickle knows nothing of keyword arguments."""
        return partial(MalformedText, position=self.position), (self.message,)


class BadBundle(RelevanceError):
    """A bundle cannot be trusted or used."""

    exit_code = 3


class BadGeneration(RelevanceError):
    """A generation of item embeddings cannot be trusted or used."""

    exit_code = 3


class GateRefused(RelevanceError):
    """A measured condition for going on does not hold."""

    exit_code = 4


class Unavailable(RelevanceError):
    """A resource outside this process could not be had."""

    exit_code = 5
