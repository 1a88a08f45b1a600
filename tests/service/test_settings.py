from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relevance.errors import BadInput, Unavailable
from service.app import limits_of
from service.limits import Limits
from service.runtimes import check_runtimes
from service.settings import FILE_VARIABLE, Settings, read_settings, shown
from tests.service.conftest import FEW


def test_settings_come_from_prefixed_variables_and_have_defaults() -> None:
    settings = read_settings({"ELLM_STORE": "/store", "ELLM_PORT": "9000", "HOME": "/root"})

    assert settings == Settings(store=Path("/store"), port=9000)
    assert (settings.max_candidates, settings.max_body_bytes) == (5000, 1 << 20)
    assert (settings.max_query_chars, settings.teacher) == (512, None)


def test_an_empty_variable_is_none() -> None:
    assert read_settings({"ELLM_STORE": "/store", "ELLM_TEACHER": ""}).teacher is None


def test_a_flag_wins_over_a_variable_and_a_variable_over_the_file(tmp_path) -> None:
    file = tmp_path / "ellm.toml"
    file.write_text('store = "from-file"\nport = 1\nworkers = 3\nhost = "::1"\n')
    environment = {FILE_VARIABLE: str(file), "ELLM_PORT": "2", "ELLM_WORKERS": "4"}

    settings = read_settings(environment, flags={"port": "5"})

    assert (settings.port, settings.workers, settings.host) == (5, 4, "::1")
    assert settings.store == Path("from-file")


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"ELLM_STORE": "s", "ELLM_PROT": "1"}, "ELLM_PROT: unknown setting"),
        ({"ELLM_STORE": "s", "ELLM_PORT": "0"}, "ELLM_PORT: .* got '0'"),
        ({"ELLM_STORE": "s", "ELLM_MAX_CANDIDATES": "many"}, "ELLM_MAX_CANDIDATES: .* got 'many'"),
        ({"ELLM_STORE": "s", "ELLM_RATE_LIMIT": "lots"}, "ELLM_RATE_LIMIT: .* got 'lots'"),
        ({}, "ELLM_STORE: Field required\nhint: --store, ELLM_STORE, or `store` in a file"),
    ],
)
def test_wrong_settings_are_refused_by_name(environment, message) -> None:
    with pytest.raises(BadInput, match=message):
        read_settings(environment)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('store = "s"\nprot = 1', r"ellm.toml: prot: unknown setting"),
        ('store = "s"\nport = 0', r"ellm.toml: port: .* got 0"),
        ("store = ", r"ellm.toml: expected TOML"),
        (None, r"ellm.toml: expected a file of settings: No such file"),
    ],
)
def test_a_wrong_file_is_refused_saying_where(tmp_path, content, message) -> None:
    file = tmp_path / "ellm.toml"
    if content is not None:
        file.write_text(content)

    with pytest.raises(BadInput, match=message):
        read_settings({FILE_VARIABLE: str(file)})


def test_a_wrong_flag_is_refused_as_it_was_written() -> None:
    with pytest.raises(BadInput, match="--max-queue: .* got 'x'"):
        read_settings({"ELLM_STORE": "s"}, flags={"max_queue": "x"})


@FEW
@given(
    store=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1),
    port=st.integers(1, 65535),
    delay=st.floats(0, 1e6),
)
def test_what_is_shown_reads_back_as_the_same_settings(
    tmp_path_factory, store, port, delay
) -> None:
    settings = Settings(store=Path(store), port=port, drain_delay=delay)
    file = tmp_path_factory.mktemp("settings") / "shown.toml"

    file.write_text(shown(settings), encoding="utf-8")

    assert read_settings({FILE_VARIABLE: str(file)}) == settings


def test_secrets_are_not_shown() -> None:
    secret = "redis://:hunter2@cache:6379"

    text = shown(Settings(store=Path("s"), rate_limit_store=secret, log_hash_key="hunter2"))

    assert "hunter2" not in text
    assert "# rate_limit_store = (set, not shown)" in text


def test_every_setting_says_what_it_is_for() -> None:
    assert all(field.description for field in Settings.model_fields.values())


def test_the_settings_defaults_are_those_of_the_limits() -> None:
    assert limits_of(Settings(store=Path("s"))) == Limits()


def test_both_runtimes_together_are_refused_with_the_repair() -> None:
    with pytest.raises(Unavailable, match="pip uninstall -y onnxruntime onnxruntime-gpu"):
        check_runtimes(lambda distribution: True)

    check_runtimes(lambda distribution: distribution == "onnxruntime-gpu")
    check_runtimes()
