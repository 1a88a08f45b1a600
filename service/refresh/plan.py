"""What a refresh will do, decided from the differences between a catalogue and what is live."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from relevance.bundle import BundleManifest
from service.refresh.beside import Index
from service.refresh.catalogue_source import CatalogueBatch
from service.refresh.differences import Differences, all_new, find_differences
from service.refresh.spool import Spool
from service.store.generation_reader import GenerationReader

DELTA_SHARE = 0.1  # of the live items: more changes than this make a new generation


class Extent(StrEnum):
    """How much a refresh does.

    CHANGED: encode what changed; nothing where nothing did. ALL: encode everything again into a
    new generation. COMPACT: a new generation, encoding only what changed.
    """

    CHANGED = "changed"
    ALL = "all"
    COMPACT = "compact"


class Outcome(StrEnum):
    """What a refresh did: nothing, a delta on the live generation, or a new generation."""

    NOTHING = "nothing"
    DELTA = "delta"
    GENERATION = "generation"


@dataclass(frozen=True, slots=True)
class Plan:
    """What a refresh would do; `live_items` is None where no generation of this bundle is live."""

    outcome: Outcome
    items: int
    live_items: int | None
    differences: Differences


Reading = Callable[[Iterable[CatalogueBatch]], Iterator[CatalogueBatch]]


def quietly(batches: Iterable[CatalogueBatch]) -> Iterator[CatalogueBatch]:
    """Reading that shows nothing."""
    yield from batches


@dataclass(frozen=True, slots=True)
class Options:
    """How to refresh.

    `items_per_second` bounds the encoding, `kind` says what standard input holds, more changes
    than `delta_share` of the live items make a new generation, `ray` is the address of a Ray
    cluster to encode on, `index` says whether search's candidates are made too, and `reading` may
    show how the catalogue is read.
    """

    extent: Extent = Extent.CHANGED
    items_per_second: float | None = None
    kind: str | None = None
    delta_share: float = DELTA_SHARE
    ray: str | None = None
    index: Index = Index.AS_BEFORE
    reading: Reading = quietly


DEFAULTS = Options()


def make_plan(
    spool: Spool, live: GenerationReader | None, bundle: BundleManifest, options: Options
) -> Plan:
    """Compare a catalogue with the live generation and choose the least that is needed."""
    live_items = None if live is None else live.live_count()
    if live is None or live_items is None or options.extent is Extent.ALL:
        return Plan(Outcome.GENERATION, len(spool), live_items, all_new(len(spool)))
    differences = find_differences(spool, live, bundle.item_text)
    outcome = Outcome.GENERATION
    if options.extent is Extent.CHANGED and differences.changes <= options.delta_share * live_items:
        outcome = Outcome.DELTA if differences.changes else Outcome.NOTHING
    return Plan(outcome, len(spool), live_items, differences)
