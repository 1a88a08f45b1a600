"""The gold judgement of a labelled pair: findings from the truth, with evidence in both texts.

It concludes from the noise-free label, so it can contradict the human one.
"""

from collections.abc import Iterator

from relevance.aspects import aspect_names
from relevance.domain import (
    LOG_ODDS_LIMIT,
    AspectFinding,
    EvidenceSpan,
    Judgement,
    Relevance,
    Side,
    Target,
    Verdict,
    conclude,
)
from relevance.evidence import find_occurrences
from relevance.sample_shop.latent_items import ACCESSORY, MAIN, LatentItem
from relevance.sample_shop.pairs import ShownPair, violated
from relevance.sample_shop.queries import Need
from relevance.sample_shop.titles import Title
from relevance.sample_shop.vocabulary import Product, Vocabulary

JUDGE = "gold"
_ROLE = "main_or_accessory"
_NOTHING = "none"  # offered where an item lacks what is asked for, and only this makes it Bad


def gold_judgement(
    pair: ShownPair, title: Title, vocabulary: Vocabulary, fingerprint: str
) -> Judgement:
    """What a perfect judge that knows the truth says about `pair`."""
    known = sorted(_known(pair, title, vocabulary), key=lambda k: _rank(k[0]))
    log_odds = LOG_ODDS_LIMIT if pair.true_good else -LOG_ODDS_LIMIT
    thought = conclude(tuple(finding for finding, _ in known), score=log_odds, threshold=0.0)
    texts = {Side.QUERY: pair.query.text, Side.TITLE: title.text}
    spans = {
        span: None
        for finding, words in known
        for side, word in zip(Side, words, strict=True)
        if not (finding.verdict is Verdict.MISSING and (side is Side.TITLE or pair.true_good))
        for span in _spans(finding, side, word, texts[side])
    }
    return Judgement(
        judge=JUDGE,
        query=pair.query.text,
        item_id=pair.item.item_id,
        target=Target.COT,
        log_odds=log_odds,
        fingerprint=fingerprint,
        chain_of_thought=thought,
        spans=tuple(spans),
    )


Known = tuple[AspectFinding, tuple[str, str]]  # with the words in the query and in the title


def _known(pair: ShownPair, title: Title, vocabulary: Vocabulary) -> Iterator[Known]:
    missed = violated(pair.query, pair.item, vocabulary)
    only_lacks = all(need.facet not in pair.item.values for need in missed)
    for need in pair.query.needs:
        if need.facet == "product":
            yield from _of_product(need, pair.item, title, vocabulary)
        else:
            yield _of_value(
                need, pair.item, title, vocabulary, blamed=need in missed and only_lacks
            )


def _of_value(
    need: Need, item: LatentItem, title: Title, vocabulary: Vocabulary, *, blamed: bool
) -> Known:
    aspect, value = vocabulary.facets[need.facet].aspect, item.values.get(need.facet)
    if value is None:
        verdict = Verdict.MISMATCH if blamed else Verdict.MISSING
        offered = _NOTHING if blamed else None
        return AspectFinding(aspect, need.wording, offered, verdict), (need.wording, "")
    stated = title.stated.get(need.facet, "")
    verdict = _verdict(agrees=value.serves(need.value))
    return AspectFinding(aspect, need.wording, stated or value.name, verdict), (
        need.wording,
        stated,
    )


def _of_product(
    need: Need, item: LatentItem, title: Title, vocabulary: Vocabulary
) -> Iterator[Known]:
    """The product and, where a thing has parts or is one, main product or accessory.

    A part of the asked product agrees in the product and fails as an accessory.
    """
    asked = vocabulary.products[need.value.name]
    if not _has_parts(asked, vocabulary):
        yield _of_value(need, item, title, vocabulary, blamed=False)
        return
    is_part = item.product.accessory_of == need.value.name
    if is_part:
        offered = need.value.name
        finding = AspectFinding("product", need.wording, offered, Verdict.MATCH)
        yield finding, (need.wording, offered)
    else:
        yield _of_value(need, item, title, vocabulary, blamed=False)
    role = ACCESSORY if asked.accessory_of else MAIN
    verdict = _verdict(agrees=item.values["role"] == role)
    finding = AspectFinding(_ROLE, role.name, item.values["role"].name, verdict)
    yield finding, ("", title.stated["product"] if is_part else "")


def _has_parts(product: Product, vocabulary: Vocabulary) -> bool:
    name = product.value.name
    return bool(product.accessory_of) or any(
        other.accessory_of == name for other in vocabulary.products.values()
    )


def _verdict(*, agrees: bool) -> Verdict:
    return Verdict.MATCH if agrees else Verdict.MISMATCH


def _rank(finding: AspectFinding) -> int:
    return aspect_names().index(finding.aspect)


def _spans(finding: AspectFinding, side: Side, word: str, text: str) -> Iterator[EvidenceSpan]:
    agrees = finding.verdict is Verdict.MATCH
    relevance = Relevance.RELEVANT if agrees else Relevance.IRRELEVANT
    for start, end in find_occurrences(text, word):
        yield EvidenceSpan(side, start, end, relevance, finding.aspect)
