"""A new bundle goes live: its generation is built beside the live one, compared, then both switch.

The old generation and its bundle stay, so `ellm store rollback` returns to both at once.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from relevance.bundle import read_bundle
from relevance.errors import BadInput, GateRefused
from relevance.generation import StorePaths, read_current
from relevance.records import Pair
from service.refresh.compare import Comparison, PairScorer, compare, sample_pairs
from service.refresh.job import RefreshReport, run
from service.refresh.plan import Extent, Options
from service.refresh.refresh import silently
from service.refresh.rows import Progress
from service.refresh.spool import spool_generation
from service.refresh.target import make_target
from service.store.generation_reader import GenerationReader, open_generation
from service.store.publish import place_bundle, work_folder, writing


@dataclass(frozen=True, slots=True)
class Limits:
    """What a rollout may change at most; shares of the compared pairs, 1 allows everything."""

    changed_labels: float = 1.0
    mean_difference: float = 1.0


@dataclass(frozen=True, slots=True)
class Rollout:
    """What a rollout did."""

    report: RefreshReport
    comparison: Comparison


def roll_out(
    *,
    bundle: Path,
    store: Path,
    pairs: Sequence[Pair] = (),
    limits: Limits = Limits(),
    workers: int = 1,
    progress: Progress = silently,
) -> Rollout:
    """Encode the live items with another bundle and make it the one that answers.

    Without pairs, titles of sampled items are the queries. Raises `GateRefused` where scores
    differ by more than the limits: the new generation then stays, not current, to be looked at.
    """
    started = time.monotonic()
    paths = StorePaths(store)
    with writing(paths):
        current = read_current(paths)
        place, manifest = place_bundle(paths, bundle)
        if manifest.bundle_id == current.bundle:
            raise BadInput(f"{bundle}: expected another bundle than the live {current.bundle}")
        old = open_generation(
            paths.generation(current.generation), read_bundle(paths.bundle(current.bundle))
        )
        found: list[Comparison] = []
        approve = _approving(paths, old, pairs or sample_pairs(old), limits, found.append)
        target = make_target(paths, place, manifest, workers=workers, approve=approve)
        spool = spool_generation(work_folder(paths) / "spool", old)
        options = Options(extent=Extent.ALL)
        report = run(target, spool, options=options, progress=progress)
    return Rollout(replace(report, seconds=time.monotonic() - started), found[0])


def _approving(
    paths: StorePaths,
    old: GenerationReader,
    pairs: Sequence[Pair],
    limits: Limits,
    tell: Callable[[Comparison], None],
) -> Callable[[GenerationReader], None]:
    def approve(new: GenerationReader) -> None:
        found = compare(PairScorer.open(paths, old), PairScorer.open(paths, new), pairs)
        tell(found)
        if not found.pairs:
            raise GateRefused("no pair could be scored by both bundles: nothing was compared")
        if (
            found.changed_labels > limits.changed_labels
            or found.mean_difference > limits.mean_difference
        ):
            raise GateRefused(
                f"of {found.pairs} pairs {found.changed_labels:.1%} changed their label (at most "
                f"{limits.changed_labels:.1%}), scores differ by {found.mean_difference:.4f} on "
                f"average (at most {limits.mean_difference:.4f})\n"
                f"hint: {new.generation_id} stays in the store, not current; "
                "`ellm store rollback --to` makes it current all the same"
            )

    return approve
