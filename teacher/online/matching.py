"""Holds what a query asks against what an item offers: findings with verdicts and their places.

One small rule an aspect, in a table. How much a verdict weighs is not decided here.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence

from relevance.aspects import OTHER, aspect_names
from relevance.domain import Verdict
from teacher.online.grounding import Grounded, ground, title_mention, title_spans, told
from teacher.online.quantities import Quantity
from teacher.online.readings import EXCLUSIVE, ItemReading, Mention, QueryReading

_ANY_VALUE = frozenset({"multicolour", "unisex"})  # offered to everyone who asks
_CONFIDENT = 0.8  # probability from which a query's department is spoken of; a guess
_KIN = 0.2  # share of shared items from which two kinds of goods are called the same; a guess
_UNLIKELY = 0.02  # and below which the item's own department contradicts it


Kin = Mapping[str, Mapping[str, float]]  # kinds of goods → kinds they are also called


def match(query: QueryReading, item: ItemReading, kin: Kin) -> tuple[Grounded, ...]:
    """Everything found, in the aspects' canonical order, within an aspect in query order."""
    found = [*_from_asks(query, item, kin), *_quantities(query, item), *_absences(query, item)]
    found += _main_or_accessory(query, item)
    named = any(g.finding.aspect == "product" and g.finding.verdict is Verdict.MATCH for g in found)
    found += (  # the very thing in an unlikely department is still the thing
        g for g in _department(query, item) if not named or g.finding.verdict is Verdict.MATCH
    )
    return tuple(sorted(found, key=lambda g: (_ORDER[g.finding.aspect], g.query_spans)))


def _from_asks(query: QueryReading, item: ItemReading, kin: Kin) -> Iterator[Grounded]:
    """Asks of one exclusive aspect are alternatives (tan or brown): one finding for all."""
    together: dict[str, list[Mention]] = defaultdict(list)
    for ask in query.asks:
        if ask.aspect in EXCLUSIVE:
            together[ask.aspect].append(ask)
        elif ask.aspect == "product":
            yield _product(ask, query, item, kin)
        else:
            yield _RULES.get(ask.aspect, _open_value)(ask, item)
    for asks in together.values():
        yield _exclusive(asks, item)


def _exclusive(asks: Sequence[Mention], item: ItemReading) -> Grounded:
    """Match if any value is offered or hinted at; mismatch if only others are offered."""
    aspect, values = asks[0].aspect, {ask.value for ask in asks}
    offers = item.offers.get(aspect, ())
    same = [offer for offer in offers if offer.value in values or offer.value in _ANY_VALUE]
    if same:
        return ground(asks, Verdict.MATCH, same)
    if any((aspect, value) in item.hints for value in values):
        return ground(asks, Verdict.MATCH, [told(asks[0])])
    return ground(asks, Verdict.MISMATCH if offers else Verdict.MISSING, offers)


def _open_value(ask: Mention, item: ItemReading) -> Grounded:
    """A value that can stand beside others, unless it names its group or attribute."""
    offers = item.offers.get(ask.aspect, ())
    same = [offer for offer in offers if offer.value == ask.value]
    if same:
        return ground([ask], Verdict.MATCH, same)
    form = ask.value.rpartition("=")[2]
    if form in item.absent and form not in item.present:
        span = item.absent[form]
        offer = title_mention(item, ask, span) if span else Mention(OTHER, "", f"no {ask.text}")
        return ground([ask], Verdict.MISMATCH, [offer])
    if places := title_spans(item, form):
        return ground([ask], Verdict.MATCH, [title_mention(item, ask, s) for s in places])
    if (ask.aspect, ask.value) in item.hints or _says(item.text, form):
        return ground([ask], Verdict.MATCH, [told(ask)])
    rivals = [offer for offer in offers if same_group(ask.value, offer.value)]
    return ground([ask], Verdict.MISMATCH if rivals else Verdict.MISSING, rivals)


def _brand(ask: Mention, item: ItemReading) -> Grounded:
    if item.brand and same_name(ask.value, item.brand.value):
        places = [title_mention(item, ask, span) for span in title_spans(item, ask.value)]
        return ground([ask], Verdict.MATCH, places or [item.brand])
    places = [title_mention(item, ask, span) for span in title_spans(item, ask.value)]
    if places:
        return ground([ask], Verdict.MATCH, places)
    return ground([ask], Verdict.MISMATCH if item.brand else Verdict.MISSING, _list(item.brand))


def _product(ask: Mention, query: QueryReading, item: ItemReading, kin: Kin) -> Grounded:
    """The same kind of thing, or the head noun; else what the shop's fields or title name."""
    head = ask.value.split()[-1]
    others = (span for other in query.same.get(head, ()) for span in title_spans(item, other))
    spoken = title_spans(item, ask.value) or title_spans(item, head) or list(others)
    named = [m for m in item.offers.get("product", ()) if m.value == ask.value and m.span]
    places = named or [title_mention(item, ask, span) for span in spoken]
    if places:
        return ground([ask], Verdict.MATCH, places)
    joined = ask.value.replace(" ", "")
    if kinship(ask, item, kin) >= _KIN or joined in item.positions or joined in item.joined:
        return ground([ask], Verdict.MATCH, [item.product or told(ask)])
    if head in item.fields:
        return ground([ask], Verdict.MATCH, [told(ask)])
    if head in item.text or item.product is None:
        return ground([ask], Verdict.MISSING, [])
    return ground([ask], Verdict.MISMATCH, [item.product])


def kinship(ask: Mention, item: ItemReading, kin: Kin) -> float:
    """How much the asked kind of goods is one of the item's: 1 where it is named."""
    if ask.value in item.kinds:
        return 1.0
    known = kin.get(ask.value, {})
    return max((known.get(kind, 0.0) for kind in item.kinds), default=0.0)


def _model_number(ask: Mention, item: ItemReading) -> Grounded:
    """The number itself; or another one after the same name ("airpods 3" for "airpods 2") or before
    the same letters ("125cc" for "250cc").
    """
    if places := title_spans(item, ask.value):
        return ground([ask], Verdict.MATCH, [title_mention(item, ask, s) for s in places])
    series, _, number = ask.value.rpartition(" ")
    rivals = [
        _word_mention(item, at + 1)
        for at in item.positions.get(series, ())
        if _digits(item, at + 1)
    ]
    if rivals := rivals or _other_sizes(number, item):
        return ground([ask], Verdict.MISMATCH, rivals)
    if number in item.positions:
        spans = [(item.words[at].start, item.words[at].end) for at in item.positions[number]]
        return ground([ask], Verdict.MATCH, [title_mention(item, ask, s) for s in spans])
    said = number in item.text
    return ground([ask], Verdict.MATCH if said else Verdict.MISSING, [told(ask)])


def _other_sizes(number: str, item: ItemReading) -> list[Mention]:
    """The title's numbers that end in the asked one's letters; of "wh1000" there are none."""
    unit = number.lstrip("0123456789")
    if not unit.isalpha() or unit == number:
        return []
    same = [s for s in item.positions if s.endswith(unit) and s[: -len(unit)].isdigit()]
    return [_word_mention(item, at) for stem in same for at in item.positions[stem]]


def _quantities(query: QueryReading, item: ItemReading) -> Iterator[Grounded]:
    for asked in query.quantities:
        aspect = asked.aspect
        ask = Mention(aspect, "", asked.text, (asked.start, asked.end))
        comparable = [q for q in item.quantities if asked.comparable(q)]
        same = [q for q in comparable if asked.equals(q)]
        hidden = [q for q in item.field_quantities if asked.equals(q)]
        if same:
            yield ground([ask], Verdict.MATCH, [_measured(ask, q) for q in same])
        elif hidden:
            yield ground([ask], Verdict.MATCH, [Mention(aspect, "", hidden[0].text)])
        elif comparable:
            yield ground([ask], Verdict.MISMATCH, [_measured(ask, q) for q in comparable])
        else:
            yield ground([ask], Verdict.MISSING, [])


def _absences(query: QueryReading, item: ItemReading) -> Iterator[Grounded]:
    """What must not be there: said to be absent, said to be there, or not spoken of."""
    for ask in query.absent:
        last = ask.value.split()[-1]
        if last in item.absent and last not in item.present:
            span = item.absent[last]
            offer = title_mention(item, ask, span) if span else told(ask)
            yield ground([ask], Verdict.MATCH, [offer])
        elif places := title_spans(item, ask.value) or title_spans(item, last):
            yield ground([ask], Verdict.MISMATCH, [title_mention(item, ask, s) for s in places])
        elif last in item.present:
            yield ground([ask], Verdict.MISMATCH, [Mention(OTHER, last, f"with {last}")])
        else:
            yield ground([ask], Verdict.MISSING, [])


def _main_or_accessory(query: QueryReading, item: ItemReading) -> Iterator[Grounded]:
    """An accessory for the thing is not the thing.

    It is told by its own head or kind of goods, or by the asked head standing only after "for".
    """
    head = query.head
    if query.accessory is not None:
        if item.accessory is not None:
            yield ground([query.accessory], Verdict.MATCH, [item.accessory])
        return
    if head is None:
        return
    ask = Mention("main_or_accessory", "", "main item", (head.start, head.end))
    span = item.companions.get(head.stem)
    if span and head.stem not in item.positions:
        offer = Mention("main_or_accessory", "", item.title[slice(*span)], span)
        yield ground([ask], Verdict.MISMATCH, [offer])
    elif accessory_unasked(query, item):
        assert item.accessory is not None
        yield ground([ask], Verdict.MISMATCH, [item.accessory])


def accessory_unasked(query: QueryReading, item: ItemReading) -> bool:
    """Whether the item is an accessory though the query names another thing."""
    return (
        item.accessory is not None
        and query.accessory is None
        and query.head is not None
        and item.accessory.value not in query.weights
        and query.head.stem != item.head
    )


def _department(query: QueryReading, item: ItemReading) -> Iterator[Grounded]:
    """Where the shop keeps such things, told only when the query leaves little doubt."""
    if not query.departments or not item.department or query.head is None:
        return
    likely = max(query.departments, key=query.departments.__getitem__)
    if query.departments[likely] < _CONFIDENT:
        return
    ask = Mention("category", "", likely, (query.head.start, query.head.end))
    offer = Mention("category", "", item.department)
    if item.department == likely:
        yield ground([ask], Verdict.MATCH, [offer])
    elif query.departments.get(item.department, 0.0) < _UNLIKELY:
        yield ground([ask], Verdict.MISMATCH, [offer])


def _word_mention(item: ItemReading, at: int) -> Mention:
    word = item.words[at]
    span = (word.start, word.end)
    return Mention("model_number", word.stem, item.title[slice(*span)], span)


def _digits(item: ItemReading, at: int) -> bool:
    return at < len(item.words) and item.words[at].stem.isdigit()


def _measured(ask: Mention, quantity: Quantity) -> Mention:
    return Mention(ask.aspect, "", quantity.text, (quantity.start, quantity.end))


def _says(stems_said: frozenset[str], value: str) -> bool:
    return all(part in stems_said for part in value.split())


def same_group(first: str, second: str) -> bool:
    """Whether two values exclude each other unless they are equal."""
    return "=" in first and first.partition("=")[0] == second.partition("=")[0]


def same_name(asked: str, brand: str) -> bool:
    """Equal but for blanks, or one name inside the other ("Michael Michael Kors")."""
    if asked.replace(" ", "") == brand.replace(" ", ""):
        return True
    return set(asked.split()) <= set(brand.split())


def _list(mention: Mention | None) -> list[Mention]:
    return [] if mention is None else [mention]


_RULES: Mapping[str, Callable[[Mention, ItemReading], Grounded]] = {
    "brand": _brand,
    "model_number": _model_number,
}
_ORDER = {name: at for at, name in enumerate(aspect_names())}
