from pathlib import Path

import pytest

from relevance.errors import BadInput, Unavailable
from service.runtimes import check_runtimes
from service.settings import Settings, read_settings


def test_settings_come_from_prefixed_variables_and_have_defaults() -> None:
    settings = read_settings({"ELLM_STORE": "/store", "ELLM_PORT": "9000", "HOME": "/root"})

    assert settings == Settings(store=Path("/store"), port=9000)
    assert (settings.max_candidates, settings.max_body_bytes) == (5000, 1 << 20)
    assert (settings.max_query_chars, settings.teacher) == (512, None)


def test_an_empty_variable_is_none() -> None:
    assert read_settings({"ELLM_STORE": "/store", "ELLM_TEACHER": ""}).teacher is None


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"ELLM_STORE": "s", "ELLM_PROT": "1"}, "ELLM_PROT: unknown setting"),
        ({"ELLM_STORE": "s", "ELLM_PORT": "0"}, "ELLM_PORT: .* got '0'"),
        ({"ELLM_STORE": "s", "ELLM_MAX_CANDIDATES": "many"}, "ELLM_MAX_CANDIDATES: .* got 'many'"),
        ({}, "ELLM_STORE: Field required"),
    ],
)
def test_wrong_settings_are_refused_by_name(environment, message) -> None:
    with pytest.raises(BadInput, match=message):
        read_settings(environment)


def test_both_runtimes_together_are_refused_with_the_repair() -> None:
    with pytest.raises(Unavailable, match="pip uninstall -y onnxruntime onnxruntime-gpu"):
        check_runtimes(lambda distribution: True)

    check_runtimes(lambda distribution: distribution == "onnxruntime-gpu")
    check_runtimes()
