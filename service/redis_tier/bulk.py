"""`SET … NX` in bulk on one connection: packed whole, the next block sent before answers are read.

redis-py's pipeline sends each large value by itself and waits for all answers in between; this is
several times quicker. A Cluster's many nodes go through the pipeline instead (`door.py`).
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import redis

Pair = tuple[bytes, bytes]
AHEAD = 2  # blocks under way: Redis works on one while the next is packed


def put_absent_each(client: redis.Redis, blocks: Iterable[Sequence[Pair]]) -> Iterator[list[bool]]:
    """Set each block's keys that have no value; True for those, block after block."""
    pool = client.connection_pool
    connection: Any = pool.get_connection()  # its methods carry no types
    under_way: deque[int] = deque()
    try:
        for block in blocks:
            connection.send_packed_command([_packed(block)])
            under_way.append(len(block))
            if len(under_way) >= AHEAD:
                yield _answers(connection, under_way.popleft())
        while under_way:
            yield _answers(connection, under_way.popleft())
    finally:
        if under_way:  # answers nobody read would be taken for those of the next command
            connection.disconnect()
        pool.release(connection)


def _packed(block: Sequence[Pair]) -> bytes:
    parts: list[bytes] = []
    for key, value in block:
        head = b"*4\r\n$3\r\nSET\r\n$%d\r\n%b\r\n$%d\r\n" % (len(key), key, len(value))
        parts += (head, value, b"\r\n$2\r\nNX\r\n")
    return b"".join(parts)


def _answers(connection: Any, count: int) -> list[bool]:
    answers: list[bool] = []
    refusal: redis.exceptions.ResponseError | None = None
    for _ in range(count):
        try:
            answers.append(bool(connection.read_response()))
        except redis.exceptions.ResponseError as fault:  # say, out of memory
            refusal = fault
    if refusal is not None:
        raise refusal
    return answers
