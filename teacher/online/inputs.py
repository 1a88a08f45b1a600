"""Which numbers a head reads of a pair, in which order, and with which sign each may count.

The features of query and item come in fixed families, signals under the names of their columns.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float

from teacher.online.features import FAMILIES, feature_names, signs
from teacher.online.signals import SIMILARITY, STUDENT, Signals


@dataclass(frozen=True)
class Inputs:
    """A head's features: families of query and item, then columns of signals.

    `left_out` are features of these families that the head doesn't read.
    """

    families: tuple[str, ...]
    similarities: tuple[str, ...] = ()
    students: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Every feature, in order."""
        return (*self._features, *self.similarities, *self.students)

    @cached_property
    def signs(self) -> tuple[int, ...]:
        """The sign each feature may count with; what an encoder calls alike speaks for a pair."""
        sign_of = dict(zip(feature_names(self.families), signs(self.families), strict=True))
        told = (1 for _ in (*self.similarities, *self.students))
        return (*(sign_of[name] for name in self._features), *told)

    @cached_property
    def group_of(self) -> Mapping[str, str]:
        """Each feature's group for people: its aspect, or its family."""
        groups = {
            name: name.rpartition("_")[0] if family == "aspects" else family
            for family in self.families
            for name in FAMILIES[family]
            if name not in self.left_out
        }
        groups |= dict.fromkeys(self.similarities, SIMILARITY)
        return groups | dict.fromkeys(self.students, STUDENT)

    def given_by(self, signals: Signals) -> bool:
        """Whether every column is among a pair's signals."""
        return signals.similarities.keys() >= set(self.similarities) and (
            signals.students.keys() >= set(self.students)
        )

    def row(
        self, features: Float[np.ndarray, " features"], signals: Signals
    ) -> Float[np.ndarray, " inputs"]:
        """This head's numbers of a pair; `features` hold every family in its fixed order."""
        told = [signals.similarities[name] for name in self.similarities]
        told += [signals.students[name] for name in self.students]
        return np.concatenate([features[self._columns], told])

    @cached_property
    def _features(self) -> tuple[str, ...]:
        return tuple(n for n in feature_names(self.families) if n not in self.left_out)

    @cached_property
    def _columns(self) -> list[int]:
        places = {name: at for at, name in enumerate(feature_names(tuple(FAMILIES)))}
        return [places[name] for name in self._features]
