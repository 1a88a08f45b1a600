"""Puts the sample shop together: items, queries, labels, log and gold judgements.

Every stage draws from a stream of its own, so that more queries leave the catalogue as it is.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random

from relevance.domain import Item, Judgement
from relevance.errors import BadInput
from relevance.sample_shop.config import ShopConfig
from relevance.sample_shop.fields import write_fields
from relevance.sample_shop.gold import gold_judgement
from relevance.sample_shop.hidden_values import HiddenShares, hidden_shares
from relevance.sample_shop.latent_items import LatentItem, make_latent_items
from relevance.sample_shop.pairs import (
    Shelves,
    ShownPair,
    answers,
    label_pairs,
    make_shelves,
    shown_pairs,
)
from relevance.sample_shop.queries import ShopQuery, draw_queries
from relevance.sample_shop.query_log import count_visitors
from relevance.sample_shop.titles import Title, write_title
from relevance.sample_shop.vocabulary import Vocabulary, read_vocabulary

_TRIES_PER_QUERY = 30


@dataclass(frozen=True, slots=True, eq=False)
class Shop:
    """A whole sample shop. `visitors` covers labelled and unlabelled queries alike."""

    config: ShopConfig
    items: tuple[Item, ...]
    pairs: tuple[ShownPair, ...]
    queries_unlabelled: tuple[str, ...]
    visitors: Mapping[str, int]
    gold: tuple[Judgement, ...]
    hidden: HiddenShares

    @property
    def labelled_queries(self) -> tuple[str, ...]:
        """The distinct judged queries, in order."""
        return tuple(dict.fromkeys(pair.query.text for pair in self.pairs))

    @property
    def good_share(self) -> float:
        """Share of the pairs labelled Good."""
        return sum(pair.good for pair in self.pairs) / len(self.pairs)


def make_shop(config: ShopConfig) -> Shop:
    """Generate the shop of `config`; raises `BadInput` where it is too small for its queries."""
    vocabulary = read_vocabulary(config.language)
    latent = make_latent_items(config, vocabulary)
    titles, items = _described(latent, config, vocabulary)
    shelves = make_shelves(latent)
    queries = _distinct_queries(latent, shelves, config, vocabulary)
    pairs, labelled = _judged(queries, shelves, config, vocabulary)
    unlabelled = [query for query in queries if query.text not in labelled]
    unlabelled = unlabelled[: config.unlabelled_queries]
    logged = [query for query in queries if query.text in labelled] + unlabelled
    return Shop(
        config=config,
        items=tuple(items.values()),
        pairs=pairs,
        queries_unlabelled=tuple(query.text for query in unlabelled),
        visitors=count_visitors(logged, Random(f"{config.seed}/log")),
        gold=tuple(
            gold_judgement(p, titles[p.item.item_id], vocabulary, config.fingerprint) for p in pairs
        ),
        hidden=hidden_shares(pairs, items, titles, vocabulary),
    )


def _described(
    latent: Sequence[LatentItem], config: ShopConfig, vocabulary: Vocabulary
) -> tuple[dict[str, Title], dict[str, Item]]:
    random = Random(f"{config.seed}/texts")
    titles: dict[str, Title] = {}
    items: dict[str, Item] = {}
    for item in latent:
        titles[item.item_id] = write_title(item, vocabulary, random)
        items[item.item_id] = write_fields(item, titles[item.item_id], vocabulary, random)
    return titles, items


def _distinct_queries(
    latent: Sequence[LatentItem], shelves: Shelves, config: ShopConfig, vocabulary: Vocabulary
) -> list[ShopQuery]:
    """Answerable queries without repeats, shuffled: the first draws would be the usual ones.

    A tenth more labelled ones than asked for, as some will lack near misses.
    """
    random = Random(f"{config.seed}/queries")
    wanted = config.unlabelled_queries + config.labelled_queries + config.labelled_queries // 10 + 5
    found: dict[str, ShopQuery] = {}
    drawn = draw_queries(latent, vocabulary, random)
    for _ in range(_TRIES_PER_QUERY * wanted):
        query = next(drawn)
        key = query.text.casefold()
        if key not in found and len(answers(query, shelves, vocabulary)) > 1:
            found[key] = query
            if len(found) == wanted:
                break
    queries = list(found.values())
    random.shuffle(queries)
    return queries


def _judged(
    queries: Sequence[ShopQuery], shelves: Shelves, config: ShopConfig, vocabulary: Vocabulary
) -> tuple[tuple[ShownPair, ...], set[str]]:
    random = Random(f"{config.seed}/pairs")
    noise = Random(f"{config.seed}/noise")
    pairs: list[ShownPair] = []
    labelled: set[str] = set()
    for query in queries:
        shown = shown_pairs(query, shelves, vocabulary, config.judged_per_query, random)
        if shown and len(labelled) < config.labelled_queries:
            pairs += label_pairs(query, shown, config.label_noise, noise)
            labelled.add(query.text)
    enough = config.labelled_queries + config.unlabelled_queries
    if len(labelled) < config.labelled_queries or len(queries) < enough:
        raise BadInput(
            f"sample shop: expected {config.labelled_queries} + {config.unlabelled_queries} "
            f"different queries, found {len(queries)} in a shop of {config.items} items"
        )
    return tuple(pairs), labelled
