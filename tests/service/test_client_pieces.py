import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relevance.errors import Unavailable
from service.client_plans import Options, Rejected
from service.wire import Candidates
from tests.service.conftest import CATALOGUE, FEW
from tests.service.typed_clients import (
    IDS,
    INLINE,
    QUERY,
    columns,
    error,
    forwarded,
    make_client,
    scripted,
)


@FEW
@given(
    asked=st.lists(st.sampled_from([*IDS, "unknown"]), max_size=30),
    inline=st.lists(st.just(INLINE), max_size=4),
    top_n=st.none() | st.integers(1, 40),
    limits=st.fixed_dictionaries(
        {
            "max_candidates": st.integers(1, 12),
            "max_inline_items": st.integers(1, 3),
            "max_body_bytes": st.integers(600, 2000),
        }
    ),
)
def test_a_request_split_by_the_limits_is_answered_as_if_it_were_whole(
    client, asked, inline, top_n, limits
) -> None:
    if not asked and not inline:
        return
    whole = make_client(forwarded(client)).score(QUERY, asked, items=inline, top_n=top_n)

    split = make_client(forwarded(client, limits=limits)).score(
        QUERY, asked, items=inline, top_n=top_n
    )

    assert split == whole


@FEW
@given(
    asked=st.lists(
        st.builds(
            Candidates,
            query=st.sampled_from([QUERY, "oak desk", " "]),
            item_ids=st.lists(st.sampled_from(IDS), min_size=1, max_size=9),
        ),
        min_size=1,
        max_size=6,
    ),
    limits=st.fixed_dictionaries(
        {"max_batch_queries": st.integers(1, 3), "max_batch_candidates": st.integers(9, 30)}
    ),
)
def test_a_batch_split_by_the_limits_is_answered_as_if_it_were_whole(client, asked, limits) -> None:
    whole = make_client(forwarded(client)).score_batch(asked)

    split = make_client(forwarded(client, limits=limits)).score_batch(asked)

    assert split == whole
    assert [answer.error is not None for answer in whole] == [one.query == " " for one in asked]


def test_one_query_of_a_batch_may_be_more_than_one_request_holds(client) -> None:
    asked = [Candidates(query=QUERY, item_ids=["B001"]), Candidates(query=QUERY, item_ids=IDS)]

    split = make_client(forwarded(client, limits={"max_candidates": 50})).score_batch(asked)

    assert split == make_client(forwarded(client)).score_batch(asked)


def test_pieces_come_from_one_generation_or_are_all_asked_anew() -> None:
    old, new, conflict = columns("old"), columns("new"), error(409, "generation_not_loaded")
    answer, seen = scripted(old, conflict, new, columns("new"))

    reply = make_client(answer).score_columns(
        Candidates(query="q", item_ids=["x" * 512] * 4000),
    )

    pins = [msgspec.msgpack.decode(request.content)["generation"] for request in seen]
    assert pins == [None, "old", None, "new"]
    assert reply.generation == "new"


def test_a_generation_that_changes_again_and_again_is_told() -> None:
    answer, seen = scripted(*[columns("old"), error(409, "generation_not_loaded")] * 3)

    with pytest.raises(Unavailable, match="the generation changed in each of 3 attempts"):
        make_client(answer).score_columns(Candidates(query="q", item_ids=["x" * 512] * 4000))

    assert len(seen) == 6


def test_a_pin_of_the_callers_own_is_not_given_up() -> None:
    answer, _ = scripted(error(409, "generation_not_loaded"))

    with pytest.raises(Rejected, match="/score answered 409 generation_not_loaded"):
        make_client(answer).score("q", ["a"], options=Options(generation="old"))


DOCUMENTS = st.lists(
    st.one_of(
        st.sampled_from([item.title for item in CATALOGUE]),
        st.sampled_from([*IDS, "nobody"]).map(lambda item_id: {"id": item_id}),
    ),
    min_size=1,
    max_size=25,
)


@FEW
@given(
    documents=DOCUMENTS,
    top_n=st.none() | st.integers(1, 30),
    limits=st.fixed_dictionaries(
        {
            "max_candidates": st.integers(1, 12),
            "max_rerank_documents": st.integers(1, 4),
            "max_body_bytes": st.integers(700, 2000),
        }
    ),
)
def test_documents_split_by_the_limits_are_ranked_as_if_they_were_whole(
    client, documents, top_n, limits
) -> None:
    whole = make_client(forwarded(client)).rerank(QUERY, documents, top_n=top_n)

    split = make_client(forwarded(client, limits=limits)).rerank(QUERY, documents, top_n=top_n)

    assert split.results == whole.results
    assert split.meta.warnings == whole.meta.warnings
    assert split.generation == whole.generation
