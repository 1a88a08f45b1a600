"""What a new generation needs beside it before it answers: search's candidates, FAISS's tokens.

Whatever the generation before has is made for the new one with the same settings, so that a
switch takes neither search's index nor the token store away. Their files are `service.derived`'s.
"""

from collections.abc import Callable, Mapping
from enum import StrEnum
from pathlib import Path

from relevance.bundle import BundleManifest
from relevance.errors import BadInput
from relevance.generation import StorePaths, read_current
from service.candidates import index as candidates
from service.derived import derived_settings, is_derived
from service.faiss_store import token_store
from service.store.generation_reader import GenerationReader

Settings = Mapping[str, str | int]
Maker = Callable[[StorePaths, GenerationReader, Settings], Path]


class Index(StrEnum):
    """Whether a refresh makes the candidate index.

    AS_BEFORE: where the generation before has one. WANTED: in any case, also for a generation
    that stays current. UNWANTED: never.
    """

    AS_BEFORE = "as before"
    WANTED = "wanted"
    UNWANTED = "unwanted"


def settings_before(store: StorePaths, index: Index) -> dict[str, Settings]:
    """What is to be made, and how: as for the current generation, and as `index` says."""
    found: dict[str, Settings] = {}
    if store.current.exists():
        current = read_current(store).generation
        made = {kind: derived_settings(store, kind, current) for kind in MAKERS}
        found = {kind: settings for kind, settings in made.items() if settings is not None}
    if index is Index.WANTED:
        found.setdefault(candidates.KIND, {})
    if index is Index.UNWANTED:
        found.pop(candidates.KIND, None)
    return found


def check_beside(store: StorePaths, bundle: BundleManifest, wanted: Mapping[str, Settings]) -> None:
    """Refuse, before anything is encoded, what could not be made of this bundle's rows."""
    if token_store.KIND in wanted and bundle.codec.bits != 8:
        raise BadInput(
            f"bundle {bundle.bundle_id}: expected rows of 8 bits a value for FAISS's token store, "
            f"which the current generation has; got {bundle.codec.bits}\n"
            f"hint: remove {store.root / token_store.KIND} to go on without one"
        )


def make_beside(
    store: StorePaths, generation: GenerationReader, wanted: Mapping[str, Settings]
) -> tuple[str, ...]:
    """Make what a generation lacks of what is wanted; the kinds that were made."""
    lacking = [kind for kind in wanted if not is_derived(store, kind, generation.generation_id)]
    for kind in lacking:
        MAKERS[kind](store, generation, wanted[kind])
    return tuple(lacking)


def _candidates(store: StorePaths, generation: GenerationReader, settings: Settings) -> Path:
    span = int(settings.get("span", candidates.SPAN))
    return candidates.build_candidates(store, generation, span=span)


def _tokens(store: StorePaths, generation: GenerationReader, settings: Settings) -> Path:
    codec = token_store.TokenCodec(str(settings.get("codec", token_store.TokenCodec.FLAT)))
    return token_store.build_tokens(store, generation, codec)


MAKERS: dict[str, Maker] = {candidates.KIND: _candidates, token_store.KIND: _tokens}
