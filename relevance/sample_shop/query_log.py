"""How many people typed each query: Zipf's law, with short queries at the head."""

from collections.abc import Sequence
from random import Random

from relevance.sample_shop.queries import ShopQuery

_EXPONENT = 1.05
_TOP_SHARE = 0.9  # visitors of the first query, per query in the log


def count_visitors(queries: Sequence[ShopQuery], random: Random) -> dict[str, int]:
    """Unique visitors per query text, most visited first.

    The more a query asks for, the rarer it is, give or take, and slips are rarer still; then
    visitors(rank) = top / rank^1.05, at least 1.
    """
    keys = [len(q.needs) + 1.5 * q.mistyped + random.gauss(0.0, 0.7) for q in queries]
    ranked = [query for _, query in sorted(zip(keys, queries, strict=True), key=lambda kq: kq[0])]
    top = max(40.0, _TOP_SHARE * len(queries))
    return {q.text: max(1, round(top / rank**_EXPONENT)) for rank, q in enumerate(ranked, start=1)}
