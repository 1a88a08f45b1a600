"""How much of what decides a pair is hidden from whoever reads the catalogue, measured on texts.

A deciding value is what an item truly offers to one need of one judged pair: every need of a
matching pair, every violated need of another.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields

from relevance.domain import Item
from relevance.sample_shop.pairs import ShownPair, violated
from relevance.sample_shop.queries import Need
from relevance.sample_shop.titles import Title
from relevance.sample_shop.vocabulary import Value, Vocabulary
from relevance.sample_shop.wording import mentions


@dataclass(frozen=True, slots=True)
class HiddenShares:
    """`absent_or_wrong` and `only_paraphrased`: shares of the deciding values whose words do not
    stand in the structured fields at all, or only as a synonym or paraphrase. `in_title`: share of
    the pairs that the title alone decides, for a reader who knows all words.
    """

    absent_or_wrong: float
    only_paraphrased: float
    in_title: float


def hidden_shares(
    pairs: Sequence[ShownPair],
    items: Mapping[str, Item],
    titles: Mapping[str, Title],
    vocabulary: Vocabulary,
) -> HiddenShares:
    """Read the fields and titles of every judged pair for what decides it."""
    texts = {item_id: fields_text(item) for item_id, item in items.items()}
    unseen = veiled = total = decided = 0
    for pair in pairs:
        needs = _deciding(pair, vocabulary)
        for need in needs:
            value = pair.item.values.get(need.facet)
            if value is None:
                continue
            text = texts[pair.item.item_id]
            plain = mentions(text, _plain_words(need, value, matches=pair.true_good))
            total += 1
            veiled += not plain and mentions(text, (*value.words, *value.told))
            unseen += not mentions(text, (value.name, *value.words, *value.told, need.wording))
        stated = [_stated(need, titles[pair.item.item_id]) for need in needs]
        decided += all(stated) if pair.true_good else any(stated)
    return HiddenShares(unseen / total, veiled / total, decided / len(pairs))


def fields_text(item: Item) -> str:
    """Everything the catalogue says of an item beside its title."""
    plain = (getattr(item, f.name) for f in fields(item) if f.name not in _NOT_FIELDS)
    return " . ".join((*plain, *(value for _, value in item.attributes)))


_NOT_FIELDS = ("item_id", "title", "attributes")


def _deciding(pair: ShownPair, vocabulary: Vocabulary) -> tuple[Need, ...]:
    return pair.query.needs if pair.true_good else violated(pair.query, pair.item, vocabulary)


def _plain_words(need: Need, value: Value, *, matches: bool) -> Iterator[str]:
    """The words by which a lexicon mined from the fields could see it."""
    if matches:
        yield from (need.value.name, need.wording)
    else:
        yield from (value.name, *value.asked)


def _stated(need: Need, title: Title) -> bool:
    """A title that names the product tells its department too."""
    return ("product" if need.facet == "category" else need.facet) in title.stated
