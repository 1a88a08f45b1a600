"""The exported encoder: the student's embeddings at any shape, and no trace of a machine.

That a checkpoint gives the same bytes each time is seen in `test_commands.py`.
"""

import logging

import numpy as np
import onnx
import pytest
import torch

from exporter.bundle_scoring import open_session
from relevance.bundle import ENCODER


@pytest.fixture(scope="module")
def session(exported):
    return open_session(exported.folder / ENCODER)


def make_feed(seed: int, lengths: list[int]) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    attention = np.array([[at < n for at in range(max(lengths))] for n in lengths], np.int64)
    return {"input_ids": random.integers(5, 60, attention.shape), "attention_mask": attention}


@pytest.mark.parametrize("lengths", [[1], [2], [34], [3, 9], [5, 1, 12, 30], [7] * 16])
def test_embeddings_are_the_students_for_any_batch_and_length(session, checkpoint, lengths):
    feed = make_feed(sum(lengths), lengths)

    (found,) = session.run(["token_embeddings"], feed)

    with torch.no_grad():
        expected = checkpoint.student.token_embeddings(
            *(torch.from_numpy(feed[name]) for name in ("input_ids", "attention_mask"))
        )
    assert found.dtype == np.float32
    assert found == pytest.approx(expected.numpy(), abs=1e-5)
    assert np.linalg.norm(found, axis=-1) == pytest.approx(1, abs=1e-5)


def test_what_stands_in_padding_is_never_read(session):
    feed = make_feed(0, [4, 9])
    other = {**feed, "input_ids": np.where(feed["attention_mask"], feed["input_ids"], 17)}

    one, two = (session.run(None, each)[0] for each in (feed, other))

    assert one[0, :4] == pytest.approx(two[0, :4], abs=1e-6)


def test_one_text_has_the_same_bits_at_every_run(session):
    feed = make_feed(3, [11])

    assert session.run(None, feed)[0].tobytes() == session.run(None, feed)[0].tobytes()


def test_the_file_names_its_inputs_and_holds_no_path_of_the_machine(exported):
    content = (exported.folder / ENCODER).read_bytes()
    model = onnx.load_from_string(content)

    assert [value.name for value in model.graph.input] == ["input_ids", "attention_mask"]
    assert [value.name for value in model.graph.output] == ["token_embeddings"]
    assert not any(mark in content for mark in (b".py", b"site-packages", b"encoder_graph"))
    onnx.checker.check_model(model, full_check=True)


def test_exporting_leaves_the_exporters_logger_as_it_was(exported):
    assert logging.getLogger("torch.onnx").level == logging.NOTSET
