"""Which variant a key belongs to: a keyed hash, the same on every machine and after a restart.

Two experiments with different salts assign independently of each other: a salt is the key of a
BLAKE2b hash. Nothing is stored, so nothing can be lost. Percentages are the plan's.
"""

import hashlib
from collections.abc import Sequence
from functools import lru_cache


def place(key: str, *, salt: str) -> float:
    """Where in [0, 1) a key falls: uniform over keys, independent between salts.

    Equal keys fall at equal places for ever; the format is part of the promise (`assignment/1`).
    """
    text = key.encode("utf-8", "surrogatepass")
    digest = hashlib.blake2b(text, digest_size=8, key=_secret(salt)).digest()
    return (int.from_bytes(digest, "big") >> 11) / (1 << 53)  # all that a float keeps exactly


def chosen(key: str, *, salt: str, percents: Sequence[float]) -> int | None:
    """The index of the share a key falls into; None behind the last, where they sum below 100."""
    at, end = 100 * place(key, salt=salt), 0.0
    for index, percent in enumerate(percents):
        end += percent
        if at < end:
            return index
    return None


@lru_cache(maxsize=256)
def _secret(salt: str) -> bytes:
    """The hash's key, of one length whatever the salt's."""
    return hashlib.blake2b(salt.encode("utf-8", "surrogatepass"), digest_size=32).digest()
