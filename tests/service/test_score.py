from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relevance.generation import StorePaths
from relevance.late_interaction import mean_maxsim, sigmoid
from service.deadline import Deadline
from service.fakes import TickingClock
from service.job import Job
from service.limits import Limits
from service.missing_texts import MissingTexts
from service.query_cache import QueryCache
from service.refresh.refresh import refresh
from service.replies import Refused
from service.score import STATUSES, Ranking, best_first, rank
from service.scorer import CHUNK
from service.serving import open_current
from service.store.write_back import AbsentIds, EncodeBudget, WriteBack
from service.wire import Candidates, InlineItem, OnMissing, Status
from tests.service.conftest import CATALOGUE, UNHURRIED, write_catalogue
from tests.service.make_app import ForgetfulStore, SplitStore

QUERY = "red water bottle"
IDS = [item.item_id for item in CATALOGUE]


def candidates(
    item_ids: list[str] | None = None, items: list[InlineItem] | None = None, **options: object
) -> Candidates:
    return Candidates(query=QUERY, item_ids=item_ids or [], items=items or [], **options)


def statuses_of(ranking: Ranking) -> list[Status]:
    return [STATUSES[status] for status in ranking.scored.statuses.tolist()]


def inline(item_id: str) -> InlineItem:
    item = CATALOGUE[IDS.index(item_id)]
    return InlineItem(item_id, title=item.title, brand=item.brand, color=item.color)


def after_looks(looks: int) -> Deadline:
    """A deadline that has passed at the look after so many."""
    return Deadline(at=looks + 1.0, clock=TickingClock())


@UNHURRIED
@given(scores=st.lists(st.sampled_from([np.nan, 0.25, 0.5, 0.75])), top_n=st.integers(1, 9))
def test_the_order_is_by_score_then_place_with_no_score_last(scores, top_n) -> None:
    order = best_first(np.array(scores, np.float64), top_n).tolist()

    by_hand = sorted(
        range(len(scores)), key=lambda at: (-scores[at] if scores[at] == scores[at] else 1, at)
    )
    assert order == by_hand[:top_n]


def test_scores_follow_the_float_definition_within_the_quantisation(snapshot) -> None:
    bundle, encoder = snapshot.bundle, snapshot.encoder
    query = encoder.encode(QUERY, limit=bundle.max_query_tokens).vectors

    ranking = rank(Job(snapshot), candidates(IDS))

    for item, score in zip(CATALOGUE, ranking.scored.scores.tolist(), strict=True):
        text = snapshot.codec.text(item)
        tokens = encoder.encode(text, limit=bundle.max_item_tokens).vectors
        if len(tokens):
            cosine = mean_maxsim(query, tokens, np.ones(len(tokens), bool))
            logit = bundle.logit_weight * cosine + bundle.logit_bias
            assert score == pytest.approx(float(sigmoid(np.array(logit))), abs=0.05)


@UNHURRIED
@given(asked=st.lists(st.sampled_from([*IDS, "unknown"]), min_size=1, max_size=40))
def test_it_does_not_matter_in_which_arena_a_row_lies(snapshot, asked) -> None:
    whole = rank(Job(snapshot), candidates(asked))

    split = rank(Job(replace(snapshot, items=SplitStore(snapshot.items))), candidates(asked))

    assert split.scored.scores.tobytes() == whole.scored.scores.tobytes()
    assert statuses_of(split) == statuses_of(whole)


def test_many_threads_at_once_change_no_bit(snapshot) -> None:
    asked = [Candidates(query=f"red {item.title}", item_ids=IDS) for item in CATALOGUE[:40]]
    in_turn = [rank(Job(snapshot), one).scored.scores.tobytes() for one in asked]

    def in_thread(one: Candidates) -> bytes:
        return rank(Job(snapshot), one).scored.scores.tobytes()

    with ThreadPoolExecutor(8) as pool:
        at_once = list(pool.map(in_thread, asked))

    assert at_once == in_turn


def test_an_item_whose_rows_are_lost_is_encoded_from_its_stored_text(snapshot) -> None:
    store = ForgetfulStore(snapshot.items, ("B001", "B005"))
    job = Job(replace(snapshot, items=store))

    ranking = rank(job, candidates(["B001", "B003", "B001", "B005", "unknown"]))

    expected = rank(Job(snapshot), candidates(["B001", "B003", "B001", "B005", "unknown"]))
    assert ranking.scored.scores.tobytes() == expected.scored.scores.tobytes()
    assert statuses_of(ranking) == ["encoded", "ok", "encoded", "no_text", "missing"]
    assert job.work.degraded == ("rows_lost",)
    assert job.origin["degraded"] == ["rows_lost"]


def test_skip_encodes_nothing_and_error_refuses(snapshot) -> None:
    forgetful = replace(snapshot, items=ForgetfulStore(snapshot.items, ("B001",)))

    skipped = rank(Job(forgetful), candidates(["B001", "B003"]), on_missing=OnMissing.SKIP)

    assert statuses_of(skipped) == ["missing", "ok"]
    with pytest.raises(Refused, match="knows no item `unknown`") as refused:
        rank(Job(snapshot), candidates(["B003", "unknown"]), on_missing=OnMissing.ERROR)
    assert (refused.value.status, refused.value.param) == (404, "item_ids.1")
    assert statuses_of(rank(Job(snapshot), candidates(IDS), on_missing=OnMissing.ERROR))


def test_stored_texts_beyond_the_budget_stay_missing_and_the_reply_says_so(snapshot) -> None:
    store = ForgetfulStore(snapshot.items, ("B001", "B002", "B003"))
    job = Job(replace(snapshot, items=store), Limits(max_inline_items=2))

    ranking = rank(job, candidates(["B001", "B002", "B003"], [inline("B004")]))

    assert Counter(statuses_of(ranking)) == {"encoded": 2, "missing": 2}
    assert "encode_budget" in job.work.degraded


class TestMissingTexts:
    def test_what_was_encoded_is_handed_over_and_found_by_the_next_request(
        self, snapshot, bundle_folder, tmp_path
    ) -> None:
        store = StorePaths(tmp_path)
        refresh(
            bundle=bundle_folder,
            items=write_catalogue(tmp_path / "items.jsonl", CATALOGUE[1:]),
            store=store.root,
        )
        bundle, generation = open_current(store)
        texts = ForgetfulStore(snapshot.items, tuple(IDS))
        write_back = WriteBack(store, bundle_id=bundle.bundle_id, items=lambda: generation)
        missing = MissingTexts(write_back=write_back)

        first = rank(
            Job(replace(snapshot, items=texts), missing=missing), candidates(["B001", "unknown"])
        )
        written = write_back.append()
        again = rank(
            Job(replace(snapshot, items=generation.latest())), candidates(["B001", "unknown"])
        )

        assert written == 1
        assert statuses_of(first) == ["encoded", "missing"]
        assert statuses_of(again) == ["ok", "missing"]
        assert again.scored.scores.tobytes() == first.scored.scores.tobytes()

    def test_a_workers_budget_holds_over_all_its_requests(self, snapshot) -> None:
        store = ForgetfulStore(snapshot.items, tuple(IDS))
        missing = MissingTexts(budget=EncodeBudget(3.0, clock=lambda: 0.0))

        def ask() -> tuple[list[Status], tuple[str, ...]]:
            job = Job(replace(snapshot, items=store), missing=missing)
            return statuses_of(rank(job, candidates(IDS[:2]))), job.work.degraded

        assert ask() == (["encoded", "encoded"], ("rows_lost",))
        assert ask() == (["encoded", "missing"], ("rows_lost", "encode_budget"))

    def test_ids_nobody_has_are_not_asked_for_again_and_again(self, snapshot) -> None:
        asked: list[list[str]] = []

        class Counting(ForgetfulStore):
            def stored_items(self, item_ids):
                asked.append(list(item_ids))
                return super().stored_items(item_ids)

        store = Counting(snapshot.items, ())
        missing = MissingTexts(absent=AbsentIds(clock=lambda: 0.0))
        for _ in range(2):
            rank(Job(replace(snapshot, items=store), missing=missing), candidates(["x", "y", "x"]))

        assert asked == [["x", "y"], []]


class TestDeadlines:
    def test_without_one_everything_is_scored(self, snapshot) -> None:
        asked = candidates(["B001"] * (2 * CHUNK + 1))

        assert set(statuses_of(rank(Job(snapshot), asked))) == {"ok"}

    @pytest.mark.parametrize("looks", range(4))
    def test_what_was_scored_in_time_keeps_its_score_and_the_rest_says_deadline(
        self, snapshot, looks
    ) -> None:
        asked = ["B001", "B003", "unknown", "B005"] * CHUNK  # two chunks with text
        in_time = rank(Job(snapshot), candidates(asked))

        late = rank(Job(snapshot, deadline=after_looks(looks)), candidates(asked))

        done = np.flatnonzero(np.isin(asked, ["B001", "B003"]))[: looks * CHUNK]
        statuses = np.array(statuses_of(late))
        assert (statuses[done] == "ok").all()
        assert late.scored.scores[done].tobytes() == in_time.scored.scores[done].tobytes()
        assert Counter(statuses.tolist()) == Counter(
            {
                "ok": len(done),
                "deadline": 2 * CHUNK - len(done),
                "missing": CHUNK,
                "no_text": CHUNK,
            }
        ) - Counter({"ok": 0})
        assert np.isnan(late.scored.scores).sum() == len(asked) - len(done)

    @pytest.mark.parametrize("looks", range(4))
    def test_items_sent_along_are_encoded_while_there_is_time(self, snapshot, looks) -> None:
        asked = candidates(items=[inline("B001"), inline("B003"), inline("B004")])

        late = rank(Job(snapshot, deadline=after_looks(looks)), asked)

        assert statuses_of(late) == ["encoded"] * looks + ["deadline"] * (3 - looks)
        assert (~np.isnan(late.scored.scores)).sum() == looks


def test_items_with_one_text_are_encoded_once(snapshot) -> None:
    class Counting:
        def __init__(self) -> None:
            self.texts: list[str] = []

        def encode(self, text: str, *, limit: int):
            self.texts.append(text)
            return snapshot.encoder.encode(text, limit=limit)

    counting = Counting()
    job = Job(replace(snapshot, encoder=counting, query_cache=QueryCache(0)))

    rank(job, candidates(items=[inline("B001"), inline("B003"), inline("B001")]))

    assert counting.texts == [QUERY, "Steel water bottle Acme red", "Oak desk"]


def test_a_query_asked_again_is_not_encoded_again_whatever_its_spaces(snapshot) -> None:
    job = Job(replace(snapshot, query_cache=QueryCache(10)))

    first = rank(job, candidates(IDS))
    again = rank(
        job, Candidates(query=f"  Ｒed {QUERY[4:]}\u200b".replace("Ｒ", "r"), item_ids=IDS)
    )

    assert (job.work.cache_misses, job.work.cache_hits) == (1, 1)
    assert again.scored.scores.tobytes() == first.scored.scores.tobytes()


def test_the_work_of_a_request_is_told(snapshot) -> None:
    job = Job(replace(snapshot, query_cache=QueryCache(10)))

    rank(job, candidates(["B001", "unknown", "B005"], [inline("B003")]))

    assert job.work.statuses == {"ok": 1, "missing": 1, "no_text": 1, "encoded": 1}
    assert sum(map(len, job.work.scores)) == 2
    assert {"encode", "fetch", "score", "encode_items"} == set(job.work.seconds)
    assert all(seconds > 0 for seconds in job.work.seconds.values())


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        (Candidates(query=QUERY), "no_candidates"),
        (Candidates(query="", item_ids=["B001"]), "empty_query"),
        (Candidates(query="\u0301", item_ids=["B001"]), "empty_query"),
        (Candidates(query="r" * 513, item_ids=["B001"]), "query_too_long"),
        (Candidates(query=QUERY, item_ids=["B001"] * 5001), "too_many_candidates"),
        (Candidates(query=QUERY, items=[InlineItem("x")] * 257), "too_many_items"),
    ],
)
def test_what_cannot_be_ranked_is_refused_with_a_stable_code(snapshot, asked, code) -> None:
    with pytest.raises(Refused) as refused:
        rank(Job(snapshot), asked)

    assert (refused.value.status, refused.value.code) == (422, code)


def test_an_inline_text_stands_for_what_the_encoder_reads(snapshot) -> None:
    text = snapshot.codec.text(CATALOGUE[0])

    ranking = rank(Job(snapshot), candidates(["B001"], [InlineItem("x", text=text)]))

    cached, sent = ranking.scored.scores.tolist()
    assert cached == sent
