"""Stores and records for tests of what stands between Redis and a local generation."""

from collections.abc import Sequence
from pathlib import Path

from relevance.bundle import BundleManifest, read_bundle
from relevance.domain import Item
from relevance.generation import StorePaths, read_current
from service.item_codec import ItemCodec
from service.redis_tier.tier import RedisTier, encoded_writes
from service.refresh.encode import open_codec
from service.store.generation_reader import GenerationReader, open_generation


def current_reader(root: Path) -> GenerationReader:
    store = StorePaths(root)
    current = read_current(store)
    bundle = read_bundle(store.bundle(current.bundle))
    return open_generation(store.generation(current.generation), bundle)


def codec_of(folder: Path, bundle: BundleManifest) -> ItemCodec:
    return open_codec(folder, bundle)


def put(tier: RedisTier, codec: ItemCodec, items: Sequence[Item], *, version: int) -> None:
    _, writes = encoded_writes(tier.shape, codec, items, [version] * len(items))
    tier.write(writes)
