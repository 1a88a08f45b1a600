"""The file a refresh leaves for Prometheus: what it says after success, failure and damage."""

from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from relevance.errors import BadInput, RelevanceError
from service.refresh.commands import refresh_command
from service.refresh.metrics_file import Outcome, last_success, metrics_text, told_to
from tests.service.make_bundle import make_bundle

CATALOGUE = "item_id,title\na,oak desk\nb,red lamp\n"
DEFAULTS = {
    "workers": 1,
    "format": None,
    "full": False,
    "compact": False,
    "dry_run": False,
    "ray": None,
    "rate": None,
    "index": None,
}


def told(path: Path) -> dict[str, float]:
    families = text_string_to_metric_families(path.read_text())
    samples = [sample for family in families for sample in family.samples]
    return {" ".join([s.name, *s.labels.values()]): s.value for s in samples}


@pytest.fixture
def shop(tmp_path: Path) -> dict[str, Path]:
    make_bundle(tmp_path / "bundle")
    (tmp_path / "items.csv").write_text(CATALOGUE)
    return {
        "bundle": tmp_path / "bundle",
        "items": tmp_path / "items.csv",
        "store": tmp_path / "store",
        "metrics_file": tmp_path / "metrics" / "refresh.prom",
    }


def test_a_refresh_leaves_what_it_did(shop: dict[str, Path]) -> None:
    """Counts and times of the run, in Prometheus' own format."""
    refresh_command(**shop, **DEFAULTS)

    found = told(shop["metrics_file"])
    assert found["relevance_refresh_last_run_succeeded"] == 1
    assert found["relevance_refresh_items"] == found["relevance_refresh_encoded_items"] == 2
    assert found["relevance_refresh_changed_items added"] == 2
    assert (
        found["relevance_refresh_last_success_timestamp_seconds"]
        == found["relevance_refresh_last_run_timestamp_seconds"]
        > 0
    )


def test_a_failed_refresh_says_so_and_when_one_last_succeeded(shop: dict[str, Path]) -> None:
    """A failure is seen and the time of the success before it is kept."""
    refresh_command(**shop, **DEFAULTS)
    before = told(shop["metrics_file"])["relevance_refresh_last_success_timestamp_seconds"]
    shop["items"].write_text("no_such_column\n1\n")

    with pytest.raises(RelevanceError):
        refresh_command(**shop, **DEFAULTS)

    found = told(shop["metrics_file"])
    assert found["relevance_refresh_last_run_succeeded"] == 0
    assert found["relevance_refresh_last_success_timestamp_seconds"] == before
    assert "relevance_refresh_items" not in found


def test_without_a_file_nothing_is_written(tmp_path: Path) -> None:
    """The option is an option."""
    with told_to(None) as outcome:
        assert outcome.report is None

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", ["", "not a metric at all {", "up 1\n"])
def test_a_file_that_tells_nothing_counts_as_no_success(tmp_path: Path, content: str) -> None:
    """Damage is no success, and no fault of the refresh that comes next."""
    (tmp_path / "x.prom").write_text(content)

    assert last_success(tmp_path / "x.prom") == 0


def test_a_fault_passes_through(tmp_path: Path) -> None:
    """The file does not hide why a refresh failed."""
    with pytest.raises(BadInput, match="broken"), told_to(tmp_path / "x.prom"):
        raise BadInput("broken")

    assert "last_run_succeeded 0.0" in (tmp_path / "x.prom").read_text()


def test_times_are_told_to_the_second() -> None:
    """A second in the epoch's billions survives the text format."""
    text = metrics_text(Outcome(began=1.7e9), ended=1.7e9 + 2.5, before=0)

    assert "relevance_refresh_last_run_timestamp_seconds 1.7000000025e+09" in text
    assert "relevance_refresh_last_run_seconds 2.5" in text
