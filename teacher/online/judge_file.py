"""The catalogue judge's file: its heads and threshold as JSON, every weight beside its name.

No pickle: a judge is data, read without the libraries that fitted it.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from relevance.atomic import write_text
from relevance.errors import BadInput
from teacher.online.head import Head
from teacher.online.inputs import Inputs
from teacher.online.signals import Signals
from teacher.online.trees import read_trees, trees_content

FORMAT = "catalogue-judge/2"
FILE = "judge.json"


@dataclass(frozen=True)
class JudgeWeights:
    """Heads from the one that reads most to the one that reads query and item alone.

    `threshold` is the probability from which a pair is Good.
    """

    heads: tuple[Head, ...]
    threshold: float

    def __post_init__(self) -> None:
        if not 0 < self.threshold < 1:
            raise BadInput(f"threshold: expected a probability, got {self.threshold}")
        last = self.heads[-1].inputs if self.heads else None
        if last is None or last.similarities or last.students:
            raise BadInput("a judge: expected its last head to need no signals")

    def head(self, signals: Signals) -> Head:
        """The first head that a pair's signals can feed."""
        return next(head for head in self.heads if head.inputs.given_by(signals))


def write_weights(folder: Path, weights: JudgeWeights, *, report: Mapping[str, object]) -> None:
    """Write `judge.json`; `report` is for people."""
    content = {
        "format": FORMAT,
        "threshold": weights.threshold,
        "heads": [_head_content(head) for head in weights.heads],
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
        return JudgeWeights(tuple(_head(head) for head in content["heads"]), content["threshold"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError, BadInput) as fault:
        raise BadInput(
            f"{path}: expected a judge written by `ellm teach fit`: {fault!r}"
        ) from fault


def _head_content(head: Head) -> dict[str, object]:
    rows = zip(head.means, head.scales, head.weights, strict=True)
    inputs = {
        name: dict(zip(("mean", "scale", "weight"), row, strict=True))
        for name, row in zip(head.inputs.names, rows, strict=True)
    }
    return {
        "families": list(head.inputs.families),
        "similarities": list(head.inputs.similarities),
        "students": list(head.inputs.students),
        "left_out": list(head.inputs.left_out),
        "bias": head.bias,
        "slope": head.slope,
        "offset": head.offset,
        "inputs": inputs,
        "trees": trees_content(head.trees),
    }


def _head(content: Mapping[str, object]) -> Head:
    content = {"left_out": [], **content}  # in judges of before, nothing was
    inputs = Inputs(
        families=_texts(content["families"]),
        similarities=_texts(content["similarities"]),
        students=_texts(content["students"]),
        left_out=_texts(content["left_out"]),
    )
    found, trees = content["inputs"], content["trees"]
    assert isinstance(found, dict)
    assert isinstance(trees, dict)
    if tuple(found) != inputs.names:
        raise ValueError(f"expected the features of {', '.join(inputs.families)} in their order")
    return Head(
        inputs=inputs,
        means=tuple(row["mean"] for row in found.values()),
        scales=tuple(row["scale"] for row in found.values()),
        weights=tuple(row["weight"] for row in found.values()),
        bias=float(str(content["bias"])),
        trees=read_trees(trees),
        slope=float(str(content["slope"])),
        offset=float(str(content["offset"])),
    )


def _texts(listed: object) -> tuple[str, ...]:
    if not isinstance(listed, list):
        raise ValueError(f"expected a list, got {listed!r}")
    return tuple(str(text) for text in listed)
