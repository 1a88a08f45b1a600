"""A model that cannot be read is refused by `ellm teach judge` before the first pair."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.vllm.engine import serving
from tests.vllm.proof import PLACE, Shops
from tests.vllm.small_model import write_lettered_model

pytestmark = [pytest.mark.slow, pytest.mark.network]


def test_a_model_whose_labels_are_not_single_tokens_is_refused(
    shops: Shops, tmp_path: Path
) -> None:
    """The real engine's tokenizer knows letters only; nothing is judged, and the message says why.

    Weights play no part: the engine makes them up.
    """
    model, out = tmp_path / "letters", tmp_path / "judgements"
    write_lettered_model(model)

    with serving(model, PLACE / "engine-letters.log", more=("--load-format=dummy",)) as address:
        said = subprocess.run(
            [
                *(sys.executable, "-m", "relevance", "teach", "judge", "--endpoint", address),
                *("--items", f"{shops.unseen}_items.parquet", "--pairs", str(shops.compared)),
                *("--out", str(out), "--guidance", "tuned"),
            ],
            check=False,
            capture_output=True,
            text=True,
        )

    assert said.returncode != 0
    assert "letters: expected ` Good` to be one token after `Final judgment:`" in said.stderr
    assert "Traceback" not in said.stderr
    assert not out.exists()
