"""Which store lies behind a generation's items: its arena, FAISS, or a cache over Redis.

Each is told by the settings; what they hold is the same, byte for byte (FAISS's `pq` apart).
"""

import logging

from relevance.bundle import BundleManifest
from relevance.errors import Unavailable
from relevance.generation import StorePaths
from service.candidates.index import KIND
from service.candidates.live import Candidates, open_candidates
from service.derived import derived_folder
from service.faiss_store.token_store import open_tokens
from service.redis_tier.cached_items import CachedItems
from service.redis_tier.changes import ChangeStream
from service.redis_tier.door import RedisDoor, RedisSettings
from service.redis_tier.invalidation import start_following
from service.redis_tier.keys import KeySpace
from service.redis_tier.tier import RedisTier, shape_of
from service.settings import Settings
from service.store.generation_reader import GenerationReader, open_generation
from service.store.item_store import ItemStore

log = logging.getLogger(__name__)


def open_items(
    settings: Settings, store: StorePaths, generation_id: str, bundle: BundleManifest
) -> ItemStore:
    """A generation's items, verified, in the store that the settings name.

    A generation larger than `arena_max_bytes` becomes a cache over Redis where there is one, and
    stays behind it for when Redis fails.
    """
    generation = open_generation(store.generation(generation_id), bundle)
    if settings.item_store == "faiss":
        return open_tokens(store, generation)
    arena_bytes = generation.manifest.items * generation.manifest.item_bytes
    if settings.redis_url is None or arena_bytes <= settings.arena_max_bytes:
        return generation
    return open_cache(settings, settings.redis_url.get_secret_value(), bundle, generation)


def open_cache(
    settings: Settings, url: str, bundle: BundleManifest, generation: GenerationReader
) -> CachedItems | GenerationReader:
    """A cache over Redis; the generation alone where Redis cannot be had when it is opened."""
    try:
        door = RedisDoor.open(redis_settings(settings, url))
        tier = RedisTier(door, shape_of(bundle), KeySpace(settings.redis_space))
    except Unavailable as fault:
        log.error("answering from the local generation: %s", fault)
        return generation
    items = CachedItems(
        tier,
        capacity=max(1, settings.arena_max_bytes // generation.manifest.item_bytes),
        generation_id=generation.generation_id,
        local=generation,
    )
    start_following(items, ChangeStream(tier.door, tier.keys.changes(bundle.bundle_id)))
    return items


def redis_settings(settings: Settings, url: str) -> RedisSettings:
    """The shared tier as the settings have it; raises `BadInput` where the URL is none."""
    return RedisSettings(
        url, ca_file=settings.redis_ca_file, timeout_s=settings.redis_timeout_ms / 1000
    )


def open_search(settings: Settings, store: StorePaths, items: ItemStore) -> Candidates | None:
    """What search needs of the items; None where their rows are not all known here."""
    generation = getattr(items, "generation", items)
    if not isinstance(generation, GenerationReader):
        return None
    return open_candidates(
        store,
        generation,
        exhaustive_items=settings.search_exhaustive_items,
        depth=settings.search_depth,
    )


def search_as_of_now(
    settings: Settings, store: StorePaths, items: ItemStore, known: Candidates | None
) -> Candidates | None:
    """What was open before, or with the index that has been made since."""
    made = derived_folder(store, KIND, items.generation_id).is_dir()
    if known is None or known.index is not None or not made:
        return known
    return open_search(settings, store, items)
