"""Drawing contested pairs: weights, the draw against enumeration, and the command."""

from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from relevance.domain import Judgement, Target
from relevance.errors import BadInput
from relevance.records import Pair, read_pairs, write_judgements, write_pairs
from trainer.commands import app
from trainer.contested import contested_pool, disagreement


def pairs_of(count: int) -> list[Pair]:
    return [Pair(f"query {at // 3}", f"I{at}") for at in range(count)]


def judged(pool: list[Pair], log_odds: list[float], judge: str = "t") -> list[Judgement]:
    return [
        Judgement(judge, pair.query, pair.item_id, Target.DIRECT, value, "f")
        for pair, value in zip(pool, log_odds, strict=True)
    ]


def by_pair(judgements: list[Judgement]) -> dict[tuple[str, str], Judgement]:
    return {(j.query, j.item_id): j for j in judgements}


def test_the_distance_is_between_the_sharpened_teacher_and_the_student() -> None:
    pool = pairs_of(3)
    teacher = by_pair(judged(pool, [1.0, -2.0, 3.0]))
    student = by_pair(judged(pool[:2], [2.5, 1.0], "s"))

    found = disagreement(pool, teacher, student, sharpness=2.5)

    assert found.tolist() == [0.0, 6.0, 0.0]  # they agree; they do not; the student is silent


@given(
    st.lists(st.floats(0, 16), min_size=1, max_size=40).filter(any),
    st.floats(0.01, 1),
    st.integers(0, 9),
)
def test_a_draw_is_a_part_of_the_pool_in_its_order(gaps, share, seed) -> None:
    """Nothing twice, nothing that both agree on, and as many as were asked for if there are."""
    pool = pairs_of(len(gaps))

    drawn = contested_pool(pool, np.array(gaps), share=share, seed=seed)

    at = [pool.index(pair) for pair in drawn]
    assert at == sorted(set(at))
    assert all(gaps[position] > 0 for position in at)
    wanted = max(1, round(share * len(pool)))
    assert len(drawn) == min(wanted, sum(gap > 0 for gap in gaps))
    assert drawn == contested_pool(pool, np.array(gaps), share=share, seed=seed)


def test_two_of_four_are_drawn_as_often_as_enumeration_says() -> None:
    """The oracle draws one after another, each by its share of the weights that are left."""
    pool, gaps = pairs_of(4), np.array([1.0, 2.0, 0.5, 4.0])
    expected = np.zeros(4)
    for first, second in permutations(range(4), 2):
        chance = gaps[first] / gaps.sum() * gaps[second] / (gaps.sum() - gaps[first])
        expected[[first, second]] += chance

    draws = 4000
    counts = np.zeros(4)
    for seed in range(draws):
        for pair in contested_pool(pool, gaps, share=0.5, seed=seed):
            counts[pool.index(pair)] += 1

    error = np.sqrt(expected * (1 - expected) / draws)
    assert np.all(np.abs(counts / draws - expected) < 4 * error)


@pytest.mark.parametrize("share", [0.0, -0.1, 1.1, float("nan")])
def test_a_share_out_of_bounds_is_refused(share) -> None:
    with pytest.raises(BadInput, match="share: expected more than 0 and at most 1"):
        contested_pool(pairs_of(2), np.ones(2), share=share, seed=0)


def test_a_pool_that_both_agree_on_is_refused() -> None:
    with pytest.raises(BadInput, match="judge differently, got none of 2\nhint: both judgement"):
        contested_pool(pairs_of(2), np.zeros(2), share=0.5, seed=0)


def test_a_sharpness_of_nothing_is_refused() -> None:
    with pytest.raises(BadInput, match="sharpness: expected more than 0, got 0"):
        disagreement(pairs_of(1), {}, {}, sharpness=0)


def test_the_command_writes_the_contested_pairs(tmp_path: Path) -> None:
    pool = pairs_of(30)
    write_pairs(tmp_path / "pool.parquet", pool)
    write_judgements(tmp_path / "t.parquet", judged(pool, [1.0] * 20 + [4.0] * 10))
    write_judgements(tmp_path / "s.parquet", judged(pool, [1.0] * 20 + [-4.0] * 10, "s"))
    files = [f"--pool={tmp_path / 'pool.parquet'}", f"--out={tmp_path / 'out.parquet'}"]
    judges = [f"--judgements={tmp_path / 't.parquet'}", f"--student={tmp_path / 's.parquet'}"]

    ran = CliRunner().invoke(app, ["contested", *files, *judges, "--share=0.5"])

    assert ran.exit_code == 0, ran.output
    assert list(read_pairs(tmp_path / "out.parquet")) == pool[20:]
    assert "10 of 30 pairs" in ran.output
    assert "mean distance 8.00, 2.67 over the whole pool" in ran.output
