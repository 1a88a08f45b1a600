"""Cut texts: how a row does on pairs whose query or item is longer than its student reads.

A representation student's price is its lengths, so whether they cost quality is asked of every
row: where cut pairs gain less than whole ones, longer texts may help.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from tokenizers import Tokenizer

from relevance.domain import Item
from relevance.records import Pair
from trainer.examples import TextLengths, TextTable, tokenise_texts
from trainer.study.slices import Keys, class_measures

CUT, WHOLE, SHARES = "cut pairs", "whole pairs", "cut texts"


def cut_at_lengths(
    pairs: Sequence[Pair],
    catalogue: Mapping[str, Item],
    tokenizer: Tokenizer,
    lengths: TextLengths,
) -> dict[str, Keys]:
    """Query and item of the pairs that these lengths cut and of the others; no empty slice.

    Made from the data alone, so that every row is compared on the same pairs, whenever it was run.
    """
    texts = tokenise_texts(tokenizer, pairs, catalogue, lengths)
    at = f"at {lengths.query_tokens}/{lengths.item_tokens} tokens"
    found: dict[str, set[tuple[str, str]]] = {f"cut {at}": set(), f"whole {at}": set()}
    for pair in pairs:
        name = "cut" if _is_cut(pair, texts) else "whole"
        found[f"{name} {at}"].add((pair.query, pair.item_id))
    return {name: frozenset(keys) for name, keys in found.items() if keys}


def truncation_slices(
    pairs: Sequence[Pair], good: np.ndarray, logits: np.ndarray, texts: TextTable
) -> dict[str, dict[str, float]]:
    """Measures of cut and of whole pairs, where both classes are there, and shares of cut texts.

    The shares are of the pairs' distinct queries and items, and of the pairs themselves.
    """
    cut = np.array([_is_cut(pair, texts) for pair in pairs])
    queries = [texts.queries[query].truncated for query in {pair.query for pair in pairs}]
    items = [texts.items[item_id].truncated for item_id in {pair.item_id for pair in pairs}]
    shares = {
        "queries": float(np.mean(queries)),
        "items": float(np.mean(items)),
        "pairs": float(cut.mean()),
    }
    measured = {
        name: class_measures(good[chosen], logits[chosen])
        for name, chosen in ((CUT, cut), (WHOLE, ~cut))
    }
    return {SHARES: shares, **{name: found for name, found in measured.items() if found}}


def _is_cut(pair: Pair, texts: TextTable) -> bool:
    return texts.queries[pair.query].truncated or texts.items[pair.item_id].truncated
