"""A refresh that was stopped: the next one goes on with its work, if it is the same work."""

import pytest

from relevance.domain import Item
from service.refresh import rows as rows_module
from service.refresh.refresh import refresh
from tests.service.conftest import CATALOGUE, write_catalogue
from tests.service.shown import parts_of


def stop_after(count):
    def progress(groups, items):
        for at, group in enumerate(groups):
            if at == count:
                raise KeyboardInterrupt
            yield group

    return progress


def test_a_run_that_was_stopped_is_gone_on_with_and_gives_the_same_bytes(
    bundle_folder, bundle, tmp_path, monkeypatch
) -> None:
    """What was noted is not encoded again; the note is younger than the rows it counts."""
    monkeypatch.setattr(rows_module, "ITEMS_PER_GROUP", 50)
    monkeypatch.setattr(rows_module, "SECONDS_BETWEEN_NOTES", 0.0)
    items = write_catalogue(tmp_path / "items.jsonl", CATALOGUE)
    with pytest.raises(KeyboardInterrupt):
        refresh(bundle=bundle_folder, items=items, store=tmp_path / "a", progress=stop_after(2))

    report = refresh(bundle=bundle_folder, items=items, store=tmp_path / "a")
    refresh(bundle=bundle_folder, items=items, store=tmp_path / "b")

    assert (report.resumed, report.encoded) == (100, len(CATALOGUE) - 100)
    assert parts_of(tmp_path / "a") == parts_of(tmp_path / "b")
    assert list((tmp_path / "a" / "work").iterdir()) == []


def test_a_stopped_run_is_not_gone_on_with_for_another_catalogue(
    bundle_folder, bundle, tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr(rows_module, "ITEMS_PER_GROUP", 50)
    monkeypatch.setattr(rows_module, "SECONDS_BETWEEN_NOTES", 0.0)
    items = write_catalogue(tmp_path / "items.jsonl", CATALOGUE)
    with pytest.raises(KeyboardInterrupt):
        refresh(bundle=bundle_folder, items=items, store=tmp_path / "a", progress=stop_after(2))
    items = write_catalogue(tmp_path / "items.jsonl", [Item("B001", "Other"), *CATALOGUE[1:]])

    report = refresh(bundle=bundle_folder, items=items, store=tmp_path / "a")

    assert (report.resumed, report.encoded) == (0, len(CATALOGUE))
