"""Sampling: even over strata, the same whatever the order, and weights that undo it."""

import random
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from relevance.domain import Judgement, Target
from relevance.errors import BadInput
from relevance.records import Pair, read_pairs, write_judgements, write_pairs
from teacher.commands import app
from teacher.pair_sampling import Dispute, Strata, Stratum, Traffic, draw_pairs, shares

STRATA = [Stratum(t, d) for t in (Traffic.HEAD, Traffic.TAIL) for d in Dispute]
PAIRS = [Pair(f"query {n % 40}", str(n)) for n in range(400)]
VISITORS = {f"query {n}": 100 for n in range(4)}


@settings(max_examples=50)
@given(st.dictionaries(st.sampled_from(STRATA), st.integers(0, 50), min_size=1), st.integers(1, 99))
def test_shares_are_even_as_far_as_strata_reach(available: dict[Stratum, int], number: int) -> None:
    """A stratum gets less than another only where it has no more (max-min fairness)."""
    taken = shares(available, number)

    assert sum(taken.values()) == min(number, sum(available.values()))
    for one in available:
        assert taken[one] <= available[one]
        if taken[one] < available[one]:
            assert all(taken[other] <= taken[one] + 1 for other in available)


@settings(max_examples=10, deadline=None)
@given(st.randoms(use_true_random=False), st.integers(1, 450))
def test_the_order_of_pairs_changes_only_the_order_of_the_sample(
    chance: random.Random, number: int
) -> None:
    """Which are drawn depends on pair and seed alone."""
    shuffled = PAIRS.copy()
    chance.shuffle(shuffled)
    strata = Strata(VISITORS)

    one = draw_pairs(PAIRS, strata, number=number)
    other = draw_pairs(shuffled, strata, number=number)

    assert set(one.pairs) == set(other.pairs)
    assert [p for p, _ in one.pairs] == [p for p in PAIRS if p in {q for q, _ in one.pairs}]


def test_tail_and_head_are_drawn_alike_and_weights_undo_it() -> None:
    """The weights of a stratum sum up to its size."""
    drawn = draw_pairs(PAIRS, Strata(VISITORS), number=60)

    counts = Counter(stratum.traffic for _, stratum in drawn.pairs)
    assert counts == {Traffic.HEAD: 30, Traffic.TAIL: 30}
    assert sum(drawn.weight(s) for _, s in drawn.pairs) == pytest.approx(len(PAIRS))


def test_disputed_pairs_are_not_drowned_by_agreed_ones() -> None:
    """Five disputed pairs among four hundred are all drawn."""
    teacher = {(p.query, p.item_id): 0.9 for p in PAIRS}
    student = {key: 0.1 if n < 5 else 0.85 for n, key in enumerate(teacher)}

    drawn = draw_pairs(PAIRS, Strata(None, teacher, student), number=20)

    assert drawn.taken[Stratum(Traffic.UNKNOWN, Dispute.STRONG)] == 5
    assert drawn.taken[Stratum(Traffic.UNKNOWN, Dispute.AGREED)] == 15


def test_another_seed_draws_other_pairs() -> None:
    """And the same seed the same ones."""
    draws = [set(draw_pairs(PAIRS, Strata(), number=50, seed=seed).pairs) for seed in (1, 1, 2)]

    assert draws[0] == draws[1]
    assert len(draws[0] & draws[2]) < 20


def test_the_command_draws_a_file_that_can_be_judged(tmp_path: Path) -> None:
    """From a log, judgements and scores to a pairs file with strata and weights."""
    write_pairs(tmp_path / "pairs.parquet", PAIRS)
    log = pa.table({"query": list(VISITORS), "uv": list(VISITORS.values())})
    pq.write_table(log, tmp_path / "log.parquet")
    write_judgements(
        tmp_path / "judgements.parquet",
        (Judgement("j", p.query, p.item_id, Target.DIRECT, 2.0, "f") for p in PAIRS),
    )
    scores = {
        "query": [p.query for p in PAIRS],
        "item_id": [p.item_id for p in PAIRS],
        "student": [float(n % 2) * -4 + 2 for n in range(len(PAIRS))],
    }
    pq.write_table(pa.table(scores), tmp_path / "scores.parquet")
    words = ["sample", "--pairs", tmp_path / "pairs.parquet", "--out", tmp_path / "drawn.parquet"]
    words += ["--number", 40, "--query-log", tmp_path / "log.parquet"]
    words += ["--judgements", tmp_path / "judgements.parquet"]
    words += ["--student-scores", tmp_path / "scores.parquet"]

    result = CliRunner().invoke(app, [str(w) for w in words], catch_exceptions=False)

    rows = pq.read_table(tmp_path / "drawn.parquet").to_pylist()
    assert Counter(row["stratum"] for row in rows) == {
        "head-agreed": 10,
        "head-strong": 10,
        "tail-agreed": 10,
        "tail-strong": 10,
    }
    assert len(read_pairs(tmp_path / "drawn.parquet")) == 40
    assert "tail-strong: 10 of 180" in result.output


def test_a_sample_of_nothing_is_refused() -> None:
    """At least one pair."""
    with pytest.raises(BadInput, match="at least one pair"):
        draw_pairs(PAIRS, Strata(), number=0)
