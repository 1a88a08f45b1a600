"""The same text always gives the same bytes: alone, in other company, in other processes."""

import hashlib
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.attempt import CalibrationPairs
from exporter.bundle_scoring import encoder_of
from exporter.export import ExportOptions, export_bundle
from exporter.parity import FEWEST_LABELS
from relevance.bundle import ENCODER, TOKENIZER, Precision, read_bundle
from relevance.text import normalise
from service.encoder import OnnxTokenEncoder
from tests.trainer.make_students import CATALOGUE, COLORS, THINGS

TEXTS = 10_000
PRECISIONS = (Precision.FP32, Precision.INT8_DYNAMIC, Precision.INT8_STATIC)
HASH = """
import hashlib, sys
from pathlib import Path
from exporter.bundle_scoring import encoder_of
folder = Path(sys.argv[1])
encode = encoder_of(folder / "encoder.onnx", 12, tokenizer=folder / "tokenizer.json")
found = hashlib.sha256()
for text in Path(sys.argv[2]).read_text().split("\\n"):
    found.update(encode(text).vectors.tobytes())
print(found.hexdigest())
"""


@pytest.fixture(scope="module", params=PRECISIONS, ids=str)
def folder(request, checkpoint, shop, exported, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("same") / "bundle"
    few = shop.calibration[: FEWEST_LABELS - 1]
    export_bundle(
        checkpoint,
        CalibrationPairs(few, CATALOGUE),
        folder,
        source={},
        options=ExportOptions(precision=request.param),
        write_graph=exported.copy_graph,
    )
    return folder


def make_encode(folder: Path):
    return encoder_of(folder / ENCODER, 12, tokenizer=folder / TOKENIZER)


@settings(max_examples=30)
@given(st.lists(st.text(max_size=40).map(normalise), min_size=1, max_size=6), st.randoms())
def test_a_text_has_the_same_bytes_whatever_was_encoded_before(folder, texts, random):
    encode = make_encode(folder)
    first = [encode(text).vectors.tobytes() for text in texts]

    order = list(range(len(texts)))
    random.shuffle(order)

    assert [encode(texts[at]).vectors.tobytes() for at in order] == [first[at] for at in order]


def make_texts(count: int) -> list[str]:
    random = np.random.default_rng(0)
    words = (*COLORS, *THINGS, "steel", "water", "24", "oz", "红色", "🔥", "é", ",", "[SEP]")
    return [" ".join(random.choice(words, random.integers(0, 15))) for _ in range(count)]


def test_texts_that_share_runs_have_the_bytes_they_have_alone(folder):
    texts = make_texts(300)
    encode, encoder = make_encode(folder), OnnxTokenEncoder.read(folder, read_bundle(folder))

    found = encoder.encode_all(texts, limit=12)

    assert [one.vectors.tobytes() for one in found] == [encode(t).vectors.tobytes() for t in texts]


@pytest.mark.slow
def test_ten_thousand_texts_have_the_same_bytes_in_any_order_thread_and_process(folder, tmp_path):
    texts = make_texts(TEXTS)
    path = tmp_path / "texts"
    path.write_text("\n".join(texts))
    encode = make_encode(folder)

    forwards = [encode(text).vectors.tobytes() for text in texts]

    backwards = [make_encode(folder)(texts[-1]).vectors.tobytes()]
    backwards += [encode(text).vectors.tobytes() for text in texts[-2::-1]]
    assert backwards[::-1] == forwards
    with ThreadPoolExecutor(2) as threads:
        assert [e.vectors.tobytes() for e in threads.map(encode, texts)] == forwards
    expected = hashlib.sha256(b"".join(forwards)).hexdigest()
    for _ in range(2):  # a restart
        command = [sys.executable, "-c", HASH, str(folder), str(path)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert done.stdout.strip() == expected
