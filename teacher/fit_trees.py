"""Grows boosted trees with LightGBM and turns them into the plain arrays a judge is saved as.

Evaluating them needs no LightGBM: `teacher.online.trees`.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import lightgbm
import numpy as np
from jaxtyping import Bool, Float

from teacher.online.trees import Node, Trees

# By cross-fit on one fold's training part; leaves, rounds, L2 and rate moved ROC-AUC by less than
# half a point around these.
ROUNDS = 200
PARAMETERS: Mapping[str, object] = {
    "objective": "binary",
    "num_leaves": 5,
    "learning_rate": 0.05,
    "lambda_l2": 20.0,
    "min_data_in_leaf": 40,
    "feature_fraction": 0.4,
    "bagging_fraction": 0.7,
    "bagging_freq": 1,
    "seed": 0,
    "deterministic": True,
    "force_row_wise": True,
    "num_threads": 1,  # the same trees on every machine
    "use_missing": False,
    "verbose": -1,
}


def fit_trees(
    rows: Float[np.ndarray, "pairs inputs"],
    good: Bool[np.ndarray, " pairs"],
    weights: Float[np.ndarray, " pairs"],
    signs: tuple[int, ...],
    *,
    rounds: int = ROUNDS,
) -> Trees:
    """Trees whose sum is a log-odds that can only rise (+1) or fall (-1) with a signed input."""
    return plain_trees(grow(rows, good, weights, signs, rounds=rounds))


def grow(
    rows: Float[np.ndarray, "pairs inputs"],
    good: Bool[np.ndarray, " pairs"],
    weights: Float[np.ndarray, " pairs"],
    signs: tuple[int, ...],
    *,
    rounds: int,
) -> lightgbm.Booster:
    """LightGBM's own model."""
    data = lightgbm.Dataset(
        rows, label=good.astype(np.float64), weight=weights, params={"verbose": -1}
    )
    parameters = {**PARAMETERS, "monotone_constraints": list(signs)}
    return lightgbm.train(parameters, data, num_boost_round=rounds)


def plain_trees(booster: lightgbm.Booster) -> Trees:
    """The same trees as data; held to LightGBM's own predictions by a test."""
    nodes: list[Node] = []
    roots = []
    for tree in booster.dump_model()["tree_info"]:
        roots.append(len(nodes))
        nodes += _nodes(tree["tree_structure"], len(nodes))[0]
    return Trees(tuple(roots), tuple(nodes))


def _nodes(structure: Mapping[str, Any], start: int) -> tuple[list[Node], float]:
    """A subtree's nodes, its first at place `start`, and how many training rows reached it."""
    if "leaf_value" in structure:
        leaf = Node(0, 0.0, start, start, float(structure["leaf_value"]))
        return [leaf], float(structure.get("leaf_count", 1))
    if structure["decision_type"] != "<=":
        raise ValueError(f"trees: expected splits by <=, got {structure['decision_type']}")
    left, left_count = _nodes(structure["left_child"], start + 1)
    right_start = start + 1 + len(left)
    right, right_count = _nodes(structure["right_child"], right_start)
    count = left_count + right_count
    value = (left[0].value * left_count + right[0].value * right_count) / max(count, 1)
    root = Node(
        int(structure["split_feature"]),
        float(structure["threshold"]),
        start + 1,
        right_start,
        value,
    )
    return [root, *left, *right], count


def leaves(trees: Trees) -> Iterator[Node]:
    """The nodes without children."""
    return (node for at, node in enumerate(trees.nodes) if node.left == at)
