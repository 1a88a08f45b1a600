"""Pairs changed in one known way, and whether a judge's score moves as that change demands.

Made from human-labelled Good pairs whose asked value the item offers. Most changes contradict the
query, so the score must fall; a typo changes nothing, so the label must stay. They come out as a
data set of their own, so that any student can score them too.
"""

import hashlib
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from relevance.domain import AspectFinding, Item, Verdict
from relevance.records import Pair
from teacher.measures.held_out import HeldOut
from teacher.online.pair_reading import PairReading

_TEXTS = ("title", "brand", "color", "category_path", "description", "bullet_points")
_OTHER_GENDER = {
    "women": "men", "womens": "mens", "women's": "men's", "woman": "man", "ladies": "gentlemen",
    "girls": "boys", "girl": "boy", "female": "male",
}  # fmt: skip
_GENDERS = {**_OTHER_GENDER, **{other: one for one, other in _OTHER_GENDER.items()}}
_COLORS = ("red", "blue", "green", "black", "white", "yellow", "purple", "brown")
_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_SHORTEST_TYPED = 6  # letters; a slip in a shorter word may be another word


class Change(StrEnum):
    """What was changed of a Good pair; TYPO alone must leave the label as it is."""

    BRAND = "another brand"
    COLOR = "another colour"
    SIZE = "another size"
    GENDER = "other gender"
    ACCESSORY = "product becomes accessory"
    WITHOUT_ADDED = "query adds without"
    WITHOUT_REMOVED = "item loses without"
    TYPO = "typo in the query"


@dataclass(frozen=True, slots=True)
class Counterfactual:
    """A pair before and after one change; `group` holds the query's variants together."""

    change: Change
    fold: int
    group: str
    before: tuple[str, Item]
    after: tuple[str, Item]


def counterfactuals(fold: HeldOut, *, of_each: int) -> list[Counterfactual]:
    """Up to `of_each` changes of each kind from a fold's Good test pairs, drawn by hash."""
    good = [(p, g) for p, g in zip(fold.pairs, fold.groups, strict=True) if p.good]
    found: dict[Change, list[Counterfactual]] = defaultdict(list)
    for pair, group in sorted(good, key=lambda p: _hash(p[0].query, p[0].item_id)):
        item = fold.items[pair.item_id]
        reading = fold.judge.reader.read(pair.query, item)
        for change, changed in _CHANGES.items():
            after = changed(pair.query, item, reading) if len(found[change]) < of_each else None
            if after is not None:
                before = (pair.query, item)
                found[change].append(Counterfactual(change, fold.fold, group, before, after))
    return [one for ones in found.values() for one in ones]


def passes(change: Change, before: float, after: float, *, threshold: float = 0.0) -> bool:
    """Whether log-odds move as the change demands; `threshold` is where Good begins."""
    if change is Change.TYPO:
        return (before >= threshold) == (after >= threshold)
    return after < before


def pass_rates(
    cases: Sequence[Counterfactual], score: Callable[[int, str, Item], float]
) -> Mapping[Change, tuple[int, float]]:
    """How many cases of each kind there are and what share passes; `score` takes fold and pair."""
    results: dict[Change, list[bool]] = defaultdict(list)
    for case in cases:
        before, after = (score(case.fold, *pair) for pair in (case.before, case.after))
        results[case.change].append(passes(case.change, before, after))
    return {
        change: (len(found), sum(found) / len(found))
        for change in Change
        if (found := results.get(change))
    }


def as_data_set(cases: Sequence[Counterfactual]) -> tuple[list[Item], list[Pair]]:
    """The changed and unchanged pairs as items and pairs; a changed item's id names its change."""
    items: dict[str, Item] = {}
    pairs: dict[tuple[str, str], Pair] = {}
    for case in cases:
        for query, item in (case.before, case.after):
            items[item.item_id] = item
            pairs[query, item.item_id] = Pair(query, item.item_id, subset=case.change)
    return list(items.values()), list(pairs.values())


Changed = tuple[str, Item] | None


def _another_brand(query: str, item: Item, reading: PairReading) -> Changed:
    asked = _matched(reading, "brand")
    if not asked or not item.brand:
        return None
    others = ("Zelvora", "Brantik", "Okuvane")
    chosen = others[_hash(query, item.item_id) % len(others)]
    forms = sorted({item.brand, asked}, key=len, reverse=True)
    return query, _replaced(item, forms, chosen, "brand")


def _another_color(query: str, item: Item, reading: PairReading) -> Changed:
    asked = [ask for ask in reading.query.asks if ask.aspect == "color"]
    if not _matched(reading, "color") or len(asked) != 1:
        return None
    wanted = asked[0].value
    offers = reading.item.offers.get("color", ())
    forms = sorted({o.text for o in offers} | {asked[0].text}, key=len, reverse=True)
    free = [color for color in _COLORS if color != wanted]
    return query, _replaced(item, forms, free[_hash(query, item.item_id) % len(free)], "color")


def _another_size(query: str, item: Item, reading: PairReading) -> Changed:
    for asked in reading.query.quantities:
        same = [q for q in reading.item.quantities if asked.equals(q)]
        number = _NUMBER.search(same[0].text) if same else None
        if number and _matched_text(reading, asked.text):
            doubled = f"{float(number[0]) * 2 + 1:g}"
            changed = {q.text: q.text.replace(number[0], doubled) for q in same}
            forms = sorted({*changed, asked.text}, key=len, reverse=True)
            return query, _replaced(item, forms, changed[same[0].text], "size")
    return None


def _other_gender(query: str, item: Item, reading: PairReading) -> Changed:
    if not _matched(reading, "gender"):
        return None
    pattern = re.compile(r"\b(?:" + "|".join(map(re.escape, _GENDERS)) + r")\b", re.IGNORECASE)
    texts = {
        name: pattern.sub(lambda m: _GENDERS[m[0].lower()], getattr(item, name)) for name in _TEXTS
    }
    changed = Item(f"{item.item_id}~gender", attributes=item.attributes, **texts)
    return (query, changed) if changed.title != item.title else None


def _accessory(query: str, item: Item, reading: PairReading) -> Changed:
    if reading.query.accessory or not _matched(reading, "product"):
        return None
    title = f"Replacement strap for {item.title}"
    return query, replace(item, item_id=f"{item.item_id}~accessory", title=title, category_path="")


def _without_added(query: str, item: Item, reading: PairReading) -> Changed:
    """What the title says to come with it is asked to be absent."""
    found = re.search(r"\bwith ([a-z]{4,})", item.title)
    asked = {word.stem for word in reading.query.words}
    if not found or "without" in query or found[1] in asked:
        return None
    return f"{query} without {found[1]}", item


def _without_removed(query: str, item: Item, reading: PairReading) -> Changed:
    """What the query wants absent, and the item says is absent, comes with it after all."""
    told = {f.offered for f in _findings(reading) if f.verdict is Verdict.MATCH}
    for absent in reading.query.absent:
        last = absent.value.split()[-1]
        span = reading.item.absent.get(last)
        if span and reading.item.title[slice(*span)] in told:
            said = reading.item.title[slice(*span)]
            return query, _replaced(item, [said], f"with {last}", "without")
    return None


def _typo(query: str, item: Item, reading: PairReading) -> Changed:
    """Two neighbouring letters of the longest word change places."""
    longest = max((w for w in query.split() if w.isalpha()), key=len, default="")
    if len(longest) < _SHORTEST_TYPED:
        return None
    at = len(longest) // 2
    slipped = longest[: at - 1] + longest[at] + longest[at - 1] + longest[at + 1 :]
    return (query.replace(longest, slipped), item) if slipped != longest else None


def _matched(reading: PairReading, aspect: str) -> str:
    """What was asked of an aspect and is offered; empty where nothing is."""
    asked = (
        f.asked for f in _findings(reading) if f.aspect == aspect and f.verdict is Verdict.MATCH
    )
    return next(asked, "")


def _matched_text(reading: PairReading, text: str) -> bool:
    return any(f.asked == text and f.verdict is Verdict.MATCH for f in _findings(reading))


def _findings(reading: PairReading) -> Iterator[AspectFinding]:
    return (one.finding for one in reading.grounded)


def _replaced(item: Item, forms: Sequence[str], new: str, what: str) -> Item:
    """The item with every one of `forms` replaced in all its texts."""
    pattern = re.compile("|".join(rf"\b{re.escape(form)}\b" for form in forms), re.IGNORECASE)
    texts = {name: pattern.sub(new, getattr(item, name)) for name in _TEXTS}
    attributes = tuple((name, pattern.sub(new, value)) for name, value in item.attributes)
    return replace(item, **texts, attributes=attributes, item_id=f"{item.item_id}~{what}")


def _hash(*parts: str) -> int:
    return int.from_bytes(hashlib.sha256("\n".join(parts).encode()).digest()[:8])


_CHANGES: Mapping[Change, Callable[[str, Item, PairReading], Changed]] = {
    Change.BRAND: _another_brand,
    Change.COLOR: _another_color,
    Change.SIZE: _another_size,
    Change.GENDER: _other_gender,
    Change.ACCESSORY: _accessory,
    Change.WITHOUT_ADDED: _without_added,
    Change.WITHOUT_REMOVED: _without_removed,
    Change.TYPO: _typo,
}
