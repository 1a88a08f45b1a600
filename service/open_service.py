"""What the routes find on `app.state.open` while the service is open, as one value.

Made and unmade by `app.py`; all it does itself is hold things together.
"""

from dataclasses import dataclass, field

from anyio import CapacityLimiter

from service.admission import Gate, Queues
from service.experiments.experiments import Experiments
from service.explanations import Explanations
from service.lifecycle import Lifecycle
from service.limits import Limits
from service.missing_texts import MissingTexts
from service.snapshot import Snapshot
from service.telemetry.metrics import Metrics


@dataclass(slots=True)
class OpenService:
    """The service at work; only `snapshot` changes, and only on the event loop."""

    snapshot: Snapshot
    limits: Limits
    explanations: Explanations
    telemetry: Metrics
    scoring: CapacityLimiter
    explaining: CapacityLimiter
    gate: Gate | None = None
    missing: MissingTexts = MissingTexts()
    experiments: Experiments = field(default_factory=Experiments)

    @property
    def queues(self) -> Queues:
        """Where requests wait; there as soon as they come."""
        assert self.gate is not None
        return self.gate.queues

    @property
    def lifecycle(self) -> Lifecycle:
        """This worker's life; there as soon as requests come."""
        assert self.gate is not None
        return self.gate.lifecycle
