"""One request at work: the snapshot it holds to its end, what it may use, and what it took."""

from dataclasses import dataclass, field

from msgspec import UNSET, UnsetType

from service.deadline import Deadline
from service.limits import Limits
from service.missing_texts import MissingTexts
from service.snapshot import Origin, Snapshot
from service.wire import ServedVariant
from service.work import Work


@dataclass(frozen=True, slots=True)
class Job:
    """Handed to everything that computes for one request; `work` is filled on the way."""

    snapshot: Snapshot
    limits: Limits = Limits()
    deadline: Deadline = Deadline()
    work: Work = field(default_factory=Work)
    missing: MissingTexts = MissingTexts()
    variant: ServedVariant | UnsetType = UNSET

    @property
    def origin(self) -> Origin:
        """Where this request's answer comes from."""
        origin = self.snapshot.origin(*self.work.degraded)
        if self.variant is not UNSET:
            origin["variant"] = self.variant
        return origin
