"""Trees as data: held to LightGBM's own predictions, monotone where they were told to be."""

import json

import numpy as np
import pytest

from relevance.errors import BadInput
from teacher.fit_trees import fit_trees, grow, plain_trees
from teacher.online.trees import NO_TREES, Node, Trees, read_trees, trees_content

WIDTH = 6


def make_rows(seed: int = 0, pairs: int = 400) -> tuple[np.ndarray, np.ndarray]:
    stream = np.random.default_rng(seed)
    rows = stream.normal(size=(pairs, WIDTH)).round(1)  # ties with thresholds
    return rows, rows[:, 0] * rows[:, 1] + rows[:, 2] + stream.normal(size=pairs) > 0


def fitted(rounds: int = 30, signs: tuple[int, ...] = (0,) * WIDTH) -> Trees:
    rows, good = make_rows()
    return fit_trees(rows, good, np.ones(len(good)), signs, rounds=rounds)


@pytest.mark.parametrize("seed", range(3))
def test_the_sum_is_lightgbms_own(seed: int) -> None:
    rows, good = make_rows(seed)
    booster = grow(rows, good, np.linspace(0.5, 2, len(good)), (0,) * WIDTH, rounds=20)

    asked = np.vstack([rows, make_rows(seed + 100)[0], np.full((1, WIDTH), 1e9)])

    oracle = booster.predict(asked, raw_score=True)
    np.testing.assert_allclose(plain_trees(booster).sums(asked), oracle, rtol=0, atol=1e-12)


def test_a_row_gets_the_same_bits_alone_and_among_others() -> None:
    trees, (rows, _) = fitted(), make_rows(1)

    together = trees.sums(rows)

    assert [trees.sums(row[None])[0] for row in rows] == together.tolist()


def test_shares_and_rest_sum_up_to_the_sum() -> None:
    trees, (rows, _) = fitted(), make_rows(1)

    for row in rows[:50]:
        shares, rest = trees.contributions(row)
        assert shares.sum() + rest == pytest.approx(trees.sums(row[None])[0], abs=1e-12)
        assert shares[[3, 4]] == pytest.approx(0, abs=0.3)  # two features that say nothing


@pytest.mark.parametrize("sign", [1, -1])
def test_a_signed_feature_can_only_push_one_way(sign: int) -> None:
    trees, (rows, _) = fitted(signs=(0, 0, sign, 0, 0, 0)), make_rows(1)

    more = rows.copy()
    more[:, 2] += 0.7

    assert (sign * (trees.sums(more) - trees.sums(rows)) >= 0).all()


def test_trees_read_back_from_json_to_the_bit() -> None:
    trees = fitted()

    assert read_trees(json.loads(json.dumps(trees_content(trees)))) == trees


def test_no_trees_add_nothing() -> None:
    assert NO_TREES.sums(np.ones((3, 2))).tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("nodes", "fault"),
    [
        ((Node(0, 0.0, 0, 1, 0.0), Node(0, 0.0, 1, 1, 0.0)), "children after it"),
        ((Node(0, 0.0, 1, 2, 0.0), Node(0, 0.0, 1, 1, 0.0)), "nodes and features that exist"),
        ((Node(0, float("nan"), 0, 0, 0.0),), "finite"),
    ],
)
def test_nodes_that_make_no_tree_are_refused(nodes: tuple[Node, ...], fault: str) -> None:
    with pytest.raises(BadInput, match=fault):
        Trees((0,), nodes)
