"""What a title alone says per aspect, as written: extraction without any query.

Matching uses the item's reading itself; this is for people, exports and measures.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from relevance.aspects import OTHER
from teacher.online.readings import ItemReading, Mention, Span


def title_values(item: ItemReading) -> Mapping[str, Sequence[str]]:
    """Every aspect's values in the title, in its order; a word speaks to one value of an aspect."""
    found: dict[str, list[tuple[Span, str]]] = defaultdict(list)
    for mentions in item.offers.values():
        for mention in mentions:
            if mention.span is not None:
                found[mention.aspect].append((mention.span, mention.text))
    for quantity in item.quantities:
        aspect = "set_or_single" if "count" in quantity.amounts else OTHER
        found[aspect].append(((quantity.start, quantity.end), quantity.text))
    for mention in _brand_and_product(item):
        assert mention.span is not None
        found[mention.aspect].append((mention.span, mention.text))
    return {aspect: _apart(places) for aspect, places in found.items()}


def _brand_and_product(item: ItemReading) -> list[Mention]:
    return [m for m in (item.brand, item.product) if m is not None and m.span is not None]


def _apart(places: Sequence[tuple[Span, str]]) -> list[str]:
    """The texts whose places do not overlap, the longest of any that do."""
    kept: list[tuple[Span, str]] = []
    for place in sorted(set(places), key=lambda p: (p[0][0] - p[0][1], p[0])):
        if all(place[0][1] <= other[0][0] or other[0][1] <= place[0][0] for other in kept):
            kept.append(place)
    return [text for _, text in sorted(kept)]
