"""Boosted trees as plain arrays, evaluated with NumPy alone.

Growing them is `teacher.fit_trees`' business.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float, Int

from relevance.errors import BadInput


@dataclass(frozen=True, slots=True)
class Node:
    """One node: go left where the feature is at most the threshold; a leaf has no children.

    `value` is what a leaf adds to the sum; an inner node's is the mean of its training rows.
    """

    feature: int
    threshold: float
    left: int
    right: int
    value: float


@dataclass(frozen=True)
class Trees:
    """A sum of trees. `nodes` of all trees follow one another, a child after its parent; `roots`
    are the trees' first nodes. A leaf's children are the leaf itself.
    """

    roots: tuple[int, ...]
    nodes: tuple[Node, ...]

    def __post_init__(self) -> None:
        for at, node in enumerate(self.nodes):
            inner = node.left > at and node.right > at
            if not (inner or node.left == node.right == at):
                raise BadInput(f"trees: node {at}: expected children after it, or none")
            if max(node.left, node.right) >= len(self.nodes) or node.feature < 0:
                raise BadInput(f"trees: node {at}: expected nodes and features that exist")
            if not np.isfinite([node.threshold, node.value]).all():
                raise BadInput(f"trees: node {at}: expected finite numbers")
        if any(not 0 <= root < len(self.nodes) for root in self.roots):
            raise BadInput("trees: expected roots among the nodes")

    @property
    def width(self) -> int:
        """How many features a row needs at least."""
        return max((node.feature for node in self.nodes), default=-1) + 1

    def sums(self, rows: Float[np.ndarray, "pairs features"]) -> Float[np.ndarray, " pairs"]:
        """The sum of every tree's leaf; a row gets the same bits alone and among others."""
        if not self.roots:
            return np.zeros(len(rows))
        at = np.tile(self._roots, (len(rows), 1))  # (pairs, trees)
        every = np.arange(len(rows))[:, None]
        for _ in range(self._depth):
            goes_left = rows[every, self._features[at]] <= self._thresholds[at]
            at = np.where(goes_left, self._lefts[at], self._rights[at])
        return self._values[at].sum(axis=1)

    def contributions(
        self, row: Float[np.ndarray, " features"]
    ) -> tuple[Float[np.ndarray, " features"], float]:
        """What each feature adds along the row's paths, and the part that no feature does.

        A step from a node to its child credits the node's feature with the change of value, so
        shares and rest sum up to the row's sum. Source: Saabas, "Interpreting random forests"
        (2014); unlike Shapley values the shares depend on the order of the splits.
        """
        shares = np.zeros(len(row))
        at = self._roots
        for _ in range(self._depth):
            features = self._features[at]
            below = np.where(
                row[features] <= self._thresholds[at], self._lefts[at], self._rights[at]
            )
            np.add.at(shares, features, self._values[below] - self._values[at])
            at = below
        return shares, float(self._values[self._roots].sum())

    @cached_property
    def _roots(self) -> Int[np.ndarray, " trees"]:
        return np.array(self.roots, dtype=np.int64)

    @cached_property
    def _features(self) -> Int[np.ndarray, " nodes"]:
        return np.array([node.feature for node in self.nodes], dtype=np.int64)

    @cached_property
    def _thresholds(self) -> Float[np.ndarray, " nodes"]:
        return np.array([node.threshold for node in self.nodes])

    @cached_property
    def _lefts(self) -> Int[np.ndarray, " nodes"]:
        return np.array([node.left for node in self.nodes], dtype=np.int64)

    @cached_property
    def _rights(self) -> Int[np.ndarray, " nodes"]:
        return np.array([node.right for node in self.nodes], dtype=np.int64)

    @cached_property
    def _values(self) -> Float[np.ndarray, " nodes"]:
        return np.array([node.value for node in self.nodes])

    @cached_property
    def _depth(self) -> int:
        """Steps from a root to the deepest leaf."""
        depths = [0] * len(self.nodes)
        for at, node in enumerate(self.nodes):
            for child in {node.left, node.right} - {at}:
                depths[child] = depths[at] + 1
        return max(depths, default=0)


NO_TREES = Trees((), ())


def trees_content(trees: Trees) -> dict[str, object]:
    """Trees as plain data: a column a field, so that a file stays small and can be compared."""
    columns = {
        name: [getattr(node, name) for node in trees.nodes]
        for name in ("feature", "threshold", "left", "right", "value")
    }
    return {"roots": list(trees.roots), **columns}


def read_trees(content: Mapping[str, list[float]]) -> Trees:
    """What `trees_content` wrote; raises `KeyError` or `ValueError` where it is something else."""
    columns = [content[name] for name in ("feature", "threshold", "left", "right", "value")]
    nodes = tuple(
        Node(int(feature), float(threshold), int(left), int(right), float(value))
        for feature, threshold, left, right, value in zip(*columns, strict=True)
    )
    return Trees(tuple(int(root) for root in content["roots"]), nodes)
