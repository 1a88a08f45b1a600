"""Whether records fit into Redis: estimated before the first is written, refused if they do not.

What one item takes is measured on probes of the same sizes, because allocators round up.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from relevance.errors import Unavailable
from service.redis_tier.door import NodeMemory, RedisDoor

TABLE_BYTES = 32  # two keys' places in the main hash table, which doubles when it is full
SYSTEM_SHARE = 0.8  # of the machine, where `maxmemory` says nothing: a snapshot's fork needs some
NEVER_EVICTS = "noeviction"


@dataclass(frozen=True, slots=True)
class Estimate:
    """Bytes: what the new items take, and what is free for them."""

    items: int
    bytes_per_item: float
    free: int
    policy: str

    @property
    def needed(self) -> int:
        """The bytes all of them take."""
        return int(self.items * self.bytes_per_item)

    @property
    def fits(self) -> bool:
        """Whether they do."""
        return self.needed <= self.free

    @property
    def evicts(self) -> bool:
        """Whether Redis may drop embeddings later, when its memory is full."""
        return self.policy != NEVER_EVICTS


def estimate(
    door: RedisDoor, sample: Sequence[tuple[bytes, bytes]], *, items: int, present: float
) -> Estimate:
    """What `items` like the sample need; `present` is the share that already lies there.

    `sample` holds keys and values as they will be written. They are written under probe keys and
    removed again.
    """
    probes = [(b"probe:" + key, value) for key, value in sample]
    try:
        door.put_absent(probes)
        per_key = door.bytes_of([key for key, _ in probes]) / max(1, len(probes))
    finally:
        door.remove([key for key, _ in probes])
    keys_per_item = 2
    memory = door.memory()
    return Estimate(
        items=round(items * (1 - present)),
        bytes_per_item=keys_per_item * per_key + TABLE_BYTES,
        free=len(memory) * min(_free(node) for node in memory),  # slots spread evenly
        policy=memory[0].policy,
    )


def check_fits(found: Estimate, *, name: str) -> None:
    """Raise `Unavailable` where the items do not fit."""
    if not found.fits:
        raise Unavailable(
            f"{name}: {found.items:,} new items need about {found.needed / 2**20:,.0f} MiB, "
            f"{max(0, found.free) / 2**20:,.0f} MiB are free\n"
            "hint: raise `maxmemory`, remove an old bundle's records, or use a Cluster"
        )


def _free(node: NodeMemory) -> int:
    limit = node.limit or int(node.system * SYSTEM_SHARE)
    return limit - node.used
