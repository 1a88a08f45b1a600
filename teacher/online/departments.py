"""Which category nodes a query's words point to, by how often titles there use them.

Naive Bayes over distinct words, smoothed; a node is the first two steps of a category path.
"""

import math
from collections.abc import Iterable, Mapping

from teacher.online.lexicon import Department

_STEPS = 2
_SMOOTHING = 1.0  # pseudo-titles behind each node's word rates


def department_of(category_path: str) -> str:
    """The node an item stands in; empty where it has no category.

    >>> department_of("Clothing > Women > Shoes > Sandals")
    'Clothing > Women'
    """
    steps = [step.strip() for step in category_path.split(">")]
    return " > ".join(step for step in steps[:_STEPS] if step)


class DepartmentModel:
    """Knows each node's word rates."""

    def __init__(self, departments: Mapping[str, Department]) -> None:
        self._departments = departments
        self._total = sum(d.items for d in self._departments.values())
        self._rates = {
            stem: sum(d.words.get(stem, 0) for d in self._departments.values()) / self._total
            for stem in {s for d in self._departments.values() for s in d.words}
        }

    def posterior(self, stems: Iterable[str]) -> Mapping[str, float]:
        """The probability of each node given the words; empty where no word is known."""
        known = [stem for stem in stems if stem in self._rates]
        if not known:
            return {}
        logs = {
            n: self._log_prior(n) + sum(self._log_lift(n, s) for s in known)
            for n in self._departments
        }
        largest = max(logs.values())
        shares = {name: math.exp(value - largest) for name, value in logs.items()}
        total = sum(shares.values())
        return {name: share / total for name, share in shares.items()}

    def affinity(self, stems: Iterable[str], department: str) -> float:
        """Mean log lift of the words in a node over the catalogue; 0 where nothing is known."""
        known = [stem for stem in stems if stem in self._rates]
        if not known or department not in self._departments:
            return 0.0
        return sum(self._log_lift(department, stem) for stem in known) / len(known)

    def _log_prior(self, name: str) -> float:
        return math.log(self._departments[name].items / self._total)

    def _log_lift(self, name: str, stem: str) -> float:
        node, rate = self._departments[name], self._rates[stem]
        seen = node.words.get(stem, 0) + _SMOOTHING * rate
        return math.log(seen / (node.items + _SMOOTHING) / rate)
