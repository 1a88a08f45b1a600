"""What experiments did, counted for Prometheus; labels are names of the operator's own file."""

from collections import Counter as Counted
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
from prometheus_client import CollectorRegistry, Counter, Histogram

from service.telemetry.metrics import NAMESPACE, SCORES, SECONDS, observe_many


@dataclass(frozen=True, slots=True)
class Answered:
    """One request, as it is counted: `seconds` from choosing the variant to having the reply."""

    experiment: str
    variant: str
    outcome: str
    seconds: float
    scores: tuple[np.ndarray, ...]


class ExperimentCounts:
    """Counters of one worker; `answered` only appends, `flush` counts many at once.

    Touching a counter that several processes share costs tens of microseconds, so a flush touches
    each once, however many requests there were.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        counter = partial(Counter, namespace=NAMESPACE, registry=registry)
        histogram = partial(Histogram, namespace=NAMESPACE, registry=registry)
        self._requests = counter(
            "variant_requests_total",
            "Requests of an experiment by assigned variant and what became of them.",
            ["experiment", "variant", "outcome"],
        )
        self._seconds = histogram(
            "variant_seconds",
            "Computing the reply that was sent, by assigned variant.",
            ["experiment", "variant"],
            buckets=SECONDS,
        )
        self._scores = histogram(
            "variant_score",
            "Scores given, by assigned variant.",
            ["experiment", "variant"],
            buckets=SCORES,
        )
        self._shadows = counter(
            "shadow_requests_total", "Requests scored again by a shadow.", ["variant", "outcome"]
        )
        self._rows = counter("pair_log_rows_total", "Rows of the pair log.", ["outcome"])
        self._plans = counter(
            "experiment_plans_total", "Changes of the experiments' file.", ["outcome"]
        )
        self._ended: deque[Answered] = deque()
        self._told: Counted[tuple[str, ...]] = Counted()

    def answered(self, one: Answered) -> None:
        """A request of an experiment has its reply."""
        self._ended.append(one)

    def flush(
        self,
        *,
        shadows: Mapping[tuple[str, str], int],
        rows: Mapping[str, int],
        plans: Mapping[str, int],
    ) -> None:
        """Count what was answered, and totals that others keep."""
        ended = [self._ended.popleft() for _ in range(len(self._ended))]
        outcomes = Counted((one.experiment, one.variant, one.outcome) for one in ended)
        for labels, number in outcomes.items():
            self._requests.labels(*labels).inc(number)
        for names in dict.fromkeys((one.experiment, one.variant) for one in ended):
            own = [one for one in ended if (one.experiment, one.variant) == names]
            observe_many(self._seconds.labels(*names), np.array([one.seconds for one in own]))
            scores = [part for one in own for part in one.scores]
            if scores:
                observe_many(self._scores.labels(*names), np.concatenate(scores))
        for (variant, outcome), total in shadows.items():
            self._grow(self._shadows, (variant, outcome), total)
        for outcome, total in rows.items():
            self._grow(self._rows, (outcome,), total)
        for outcome, total in plans.items():
            self._grow(self._plans, (outcome,), total)

    def _grow(self, counter: Counter, labels: tuple[str, ...], total: int) -> None:
        key = (counter._name, *labels)
        counter.labels(*labels).inc(total - self._told[key])
        self._told[key] = total
