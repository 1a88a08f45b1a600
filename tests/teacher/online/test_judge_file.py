"""A judge's file holds every weight, and judges of before are still read."""

import json
from pathlib import Path

from teacher.online.catalogue import CatalogueJudge
from teacher.online.features import FAMILIES
from teacher.online.head import Head
from teacher.online.inputs import Inputs
from teacher.online.judge_file import FILE, JudgeWeights, read_weights, write_weights


def test_what_is_written_is_read(tmp_path: Path, seeing_judge: CatalogueJudge) -> None:
    write_weights(tmp_path, seeing_judge.weights, report={})

    assert read_weights(tmp_path) == seeing_judge.weights


def test_a_judge_of_before_features_were_left_out_is_read(tmp_path: Path) -> None:
    inputs = Inputs(tuple(FAMILIES))
    steps = tuple(n / 8 for n in range(len(inputs.names)))
    head = Head(inputs, means=steps, scales=(1.0,) * len(steps), weights=steps, bias=0.5)
    weights = JudgeWeights((head,), 0.5)
    write_weights(tmp_path, weights, report={})
    content = json.loads((tmp_path / FILE).read_bytes())
    for written in content["heads"]:
        del written["left_out"]

    (tmp_path / FILE).write_text(json.dumps(content))

    assert read_weights(tmp_path) == weights
