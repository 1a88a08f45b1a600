"""Servers under test that do not come up say why."""

import os
import sys

import pytest

from loadtest.processes import free_port, serving
from relevance.errors import Unavailable


def test_a_server_that_ends_early_says_its_code_and_its_last_words(tmp_path) -> None:
    command = [sys.executable, "-c", "import sys; print('no room'); sys.exit(3)"]

    with (
        pytest.raises(Unavailable, match=r"^peer: ended with code 3\nno room\n$"),
        serving(
            "peer", command, port=free_port(), log=tmp_path / "peer.log", environment=os.environ
        ),
    ):
        pytest.fail("it is not there")
