"""What a refresh works on: a store, a bundle in it, and what is current when the work begins."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from relevance.bundle import BundleManifest
from relevance.errors import BadGeneration
from relevance.generation import StorePaths, read_current
from service.store.delta_log import newest_sequence
from service.store.generation_reader import GenerationReader, open_generation


@dataclass(frozen=True, slots=True)
class Target:
    """A store, a bundle placed in it, and what of the current generation this bundle made.

    `began` lies before the catalogue is read: what the shop changes later is not in it.

    `since` is the generation and sequence that were current when the work began: changes that
    come after them are carried over. `damage` is what is wrong with the current generation.
    `approve` may refuse a finished one by raising.
    """

    paths: StorePaths
    place: Path
    bundle: BundleManifest
    live: GenerationReader | None
    since: tuple[str, int] | None
    began: datetime
    damage: str | None = None
    workers: int = 1
    approve: Callable[[GenerationReader], None] | None = None


def make_target(
    paths: StorePaths,
    place: Path,
    bundle: BundleManifest,
    *,
    workers: int,
    approve: Callable[[GenerationReader], None] | None = None,
) -> Target:
    """Look at what is current now."""
    began = datetime.now(UTC)
    live, damage = open_live(paths, bundle)
    since = None if live is None else (live.generation_id, live.sequence)
    if since is None and damage is None and paths.current.exists():
        current = read_current(paths).generation
        since = current, newest_sequence(paths, current)
    return Target(paths, place, bundle, live, since, began, damage, workers, approve)


def open_live(
    paths: StorePaths, manifest: BundleManifest
) -> tuple[GenerationReader | None, str | None]:
    """The current generation where this bundle made it, or what is wrong with it.

    A damaged generation is no reason not to build a sound one: nothing of it is taken over.
    """
    if not paths.current.exists():
        return None, None
    current = read_current(paths)
    if current.bundle != manifest.bundle_id:
        return None, None
    try:
        return open_generation(paths.generation(current.generation), manifest), None
    except BadGeneration as fault:
        return None, str(fault)
