"""The catalogue judge's weights as plain data, and the few sums that make a log-odds of them.

Two heads: with and without an encoder's similarities, so that a judge works where none is at hand.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Float

from relevance.atomic import write_text
from relevance.errors import BadInput
from teacher.online.features import FAMILIES, feature_names

FORMAT = "catalogue-judge/1"
FILE = "judge.json"


@dataclass(frozen=True)
class LinearHead:
    """Logistic weights over standardised features, then a calibrating line.

    log-odds = slope · (Σ weight · (feature − mean) / scale + bias) + offset.
    """

    families: tuple[str, ...]
    means: tuple[float, ...]
    scales: tuple[float, ...]
    weights: tuple[float, ...]
    bias: float
    slope: float = 1.0
    offset: float = 0.0

    def __post_init__(self) -> None:
        names = feature_names(self.families)
        if not len(names) == len(self.means) == len(self.scales) == len(self.weights):
            raise BadInput(f"a head over {', '.join(self.families)}: expected {len(names)} weights")
        numbers = [*self.means, *self.scales, *self.weights, self.bias, self.slope, self.offset]
        if not np.isfinite(numbers).all() or min(self.scales) <= 0:
            raise BadInput("a head: expected finite weights and positive scales")

    def log_odds(
        self, features: Float[np.ndarray, "pairs features"]
    ) -> Float[np.ndarray, " pairs"]:
        """Calibrated log-odds of rows that hold every family in its fixed order."""
        return features[:, self.columns] @ self._line[0] + self._line[1]

    def contributions(self, features: Float[np.ndarray, " features"]) -> Mapping[str, float]:
        """What each feature adds to the log-odds; with `bias` they sum up to it."""
        values = features[self.columns]
        centred = (values - self._means) * self._line[0]
        bias = self.slope * self.bias + self.offset
        return {
            **dict(zip(feature_names(self.families), centred.tolist(), strict=True)),
            "bias": bias,
        }

    @cached_property
    def columns(self) -> list[int]:
        """Where this head's features stand in a row that holds every family."""
        return columns_of(self.families)

    @cached_property
    def _means(self) -> Float[np.ndarray, " features"]:
        return np.array(self.means)

    @cached_property
    def _line(self) -> tuple[Float[np.ndarray, " features"], float]:
        """All constants folded into one weight a feature and one bias."""
        weights = self.slope * np.array(self.weights) / np.array(self.scales)
        bias = self.slope * self.bias + self.offset - float(weights @ self._means)
        return weights, bias


def columns_of(families: tuple[str, ...]) -> list[int]:
    """Where some families' features stand in a row that holds every family."""
    places = {name: at for at, name in enumerate(feature_names(tuple(FAMILIES)))}
    return [places[name] for name in feature_names(families)]


@dataclass(frozen=True)
class JudgeWeights:
    """Both heads, and the probability from which a pair is Good.

    `with_similarity` is None where the judge was fitted without any similarities.
    """

    without_similarity: LinearHead
    with_similarity: LinearHead | None
    threshold: float

    def __post_init__(self) -> None:
        if not 0 < self.threshold < 1:
            raise BadInput(f"threshold: expected a probability, got {self.threshold}")

    def head(self, *, has_similarities: bool) -> LinearHead:
        """The head for a pair with or without similarities."""
        similar = self.with_similarity if has_similarities else None
        return similar or self.without_similarity


def write_weights(folder: Path, weights: JudgeWeights, *, report: Mapping[str, object]) -> None:
    """Write `judge.json`, every weight beside its feature's name; `report` is for people."""
    content = {
        "format": FORMAT,
        "threshold": weights.threshold,
        "without_similarity": _head_content(weights.without_similarity),
        "with_similarity": _head_content(weights.with_similarity),
        "report": dict(report),
    }
    write_text(folder / FILE, json.dumps(content, indent=1) + "\n")


def read_weights(folder: Path) -> JudgeWeights:
    """Read `judge.json`; raises `BadInput` where it is absent, foreign or of other features."""
    path = folder / FILE
    try:
        content = json.loads(path.read_bytes())
        if content["format"] != FORMAT:
            raise ValueError(f"expected format {FORMAT}, got {content['format']}")
        similar = content["with_similarity"]
        return JudgeWeights(
            without_similarity=_head(content["without_similarity"]),
            with_similarity=None if similar is None else _head(similar),
            threshold=content["threshold"],
        )
    except (OSError, ValueError, KeyError, TypeError) as fault:
        raise BadInput(
            f"{path}: expected a judge written by `ellm teach fit`: {fault!r}"
        ) from fault


def _head_content(head: LinearHead | None) -> dict[str, object] | None:
    if head is None:
        return None
    rows = zip(head.means, head.scales, head.weights, strict=True)
    names = feature_names(head.families)
    features = {
        name: dict(zip(("mean", "scale", "weight"), row, strict=True))
        for name, row in zip(names, rows, strict=True)
    }
    plain = {k: v for k, v in asdict(head).items() if k not in ("means", "scales", "weights")}
    return {**plain, "features": features}


def _head(content: dict[str, object]) -> LinearHead:
    features = content.pop("features")
    families = content.pop("families")
    assert isinstance(features, dict)
    assert isinstance(families, list)
    if tuple(features) != feature_names(families):
        raise ValueError(f"expected the features of {', '.join(families)} in their order")
    columns = {
        f"{name}s": tuple(row[name] for row in features.values())
        for name in ("mean", "scale", "weight")
    }
    return LinearHead(tuple(families), **columns, **content)  # type: ignore[arg-type]
