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

    def served(self, variant: ServedVariant) -> "Job":
        """The same job, answered in a variant's name."""
        return Job(self.snapshot, self.limits, self.deadline, self.work, self.missing, variant)

    def put_to(self, snapshot: Snapshot, variant: ServedVariant | UnsetType = UNSET) -> "Job":
        """The job for another store's snapshot, in which nothing is remembered or kept."""
        missing = MissingTexts(self.missing.budget)
        return Job(snapshot, self.limits, self.deadline, self.work, missing, variant)

    def watched(self, deadline: Deadline) -> "Job":
        """The job with a work of its own and until another moment."""
        return Job(self.snapshot, self.limits, deadline, Work(), self.missing, self.variant)

    @property
    def origin(self) -> Origin:
        """Where this request's answer comes from."""
        origin = self.snapshot.origin(*self.work.degraded)
        if self.variant is not UNSET:
            origin["variant"] = self.variant
        return origin
