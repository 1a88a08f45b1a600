from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from relevance.late_interaction import QuantisedQuery
from service.query_cache import EncodedQuery, QueryCache

TOKENS = QuantisedQuery(np.zeros((1, 4), np.int8), np.ones(1, np.float32))


def make_query(text: str) -> EncodedQuery:
    return EncodedQuery(text, TOKENS, ((0, 1),), truncated=False)


@given(
    capacity=st.integers(0, 4),
    steps=st.lists(st.tuples(st.booleans(), st.sampled_from("abcdef"))),
)
def test_it_holds_what_an_ordered_dictionary_cut_to_capacity_holds(capacity, steps) -> None:
    cache, oracle = QueryCache(capacity), OrderedDict[str, None]()

    for is_look_up, text in steps:
        if is_look_up:
            found = cache.find(text)
            assert (found is not None) == (text in oracle)
            if found is not None:
                assert found.text == text
                oracle.move_to_end(text)
        else:
            cache.keep(make_query(text))
            oracle[text] = None
            oracle.move_to_end(text)
            while len(oracle) > capacity:
                oracle.popitem(last=False)
        assert len(cache) == len(oracle)


def test_threads_that_fill_it_never_overfill_it() -> None:
    cache = QueryCache(8)

    def use(at: int) -> int:
        cache.keep(make_query(str(at % 50)))
        cache.find(str(at % 7))
        return len(cache)

    with ThreadPoolExecutor(8) as pool:
        sizes = list(pool.map(use, range(2000)))

    assert max(sizes) <= 8
