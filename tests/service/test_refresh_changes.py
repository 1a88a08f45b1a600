"""Refreshes of a store that has a generation: deltas or a new one, and only new texts encoded."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from relevance.domain import Item
from relevance.generation import StorePaths, read_current
from service.refresh.encode import open_codec
from service.refresh.plan import Extent, Options, Outcome
from service.refresh.refresh import refresh
from service.store.delta_log import append_changes
from service.store.segment import Changes
from tests.service.conftest import CATALOGUE, FEW, write_catalogue
from tests.service.shown import read, shown

ALL = Options(extent=Extent.ALL)


SOME = CATALOGUE[:12]


EDITS = st.lists(
    st.tuples(
        st.integers(0, len(SOME) + 3),
        st.sampled_from(["title", "description", "remove", "same"]),
        st.sampled_from(["oak", "red lamp", ""]),
    ),
    max_size=8,
)


def edited(items: list[Item], edits) -> list[Item]:
    by_id = {item.item_id: item for item in items}
    for at, what, text in edits:
        item_id = SOME[at].item_id if at < len(SOME) else f"new-{at}"
        if what == "remove":
            by_id.pop(item_id, None)
        elif what != "same":
            by_id[item_id] = replace(by_id.get(item_id, Item(item_id, "Lamp")), **{what: text})
    return list(by_id.values()) or [Item("last", "Lamp")]


@settings(FEW, max_examples=5)
@given(rounds=st.lists(EDITS, min_size=1, max_size=3), share=st.sampled_from([0.0, 0.3, 9.0]))
def test_incremental_refreshes_show_what_a_full_one_shows_and_encode_only_new_texts(
    bundle, bundle_folder, tmp_path_factory, rounds, share
) -> None:
    """As deltas, as new generations or mixed: the same items and the same bytes."""
    folder = tmp_path_factory.mktemp("edits")
    items = list(SOME)
    options = Options(delta_share=share)
    file = write_catalogue(folder / "0.jsonl", items)
    refresh(bundle=bundle_folder, items=file, store=folder / "store")
    for number, edits in enumerate(rounds, start=1):
        before = {item.item_id: (item.title, item.brand, item.color) for item in items}
        items = edited(items, edits)
        file = write_catalogue(folder / f"{number}.jsonl", items)
        report = refresh(bundle=bundle_folder, items=file, store=folder / "store", options=options)
        texts = {item.item_id: (item.title, item.brand, item.color) for item in items}
        assert report.encoded == sum(before.get(i) != text for i, text in texts.items())
        assert len(report.plan.differences.removed) == len(before.keys() - texts.keys())

    refresh(bundle=bundle_folder, items=file, store=folder / "fresh")

    assert shown(read(folder / "store", bundle)) == shown(read(folder / "fresh", bundle))


def test_few_changes_become_a_delta_and_many_a_generation(
    own_store, bundle_folder, bundle, tmp_path
) -> None:
    before = read_current(StorePaths(own_store))
    few = write_catalogue(tmp_path / "few.jsonl", [*CATALOGUE[1:], Item("new", "Oak lamp")])
    many = write_catalogue(tmp_path / "many.jsonl", CATALOGUE[: len(CATALOGUE) // 2])

    report = refresh(bundle=bundle_folder, items=few, store=own_store)

    assert report.plan.outcome is Outcome.DELTA
    assert (report.written, report.encoded, report.sequence) == (1, 1, 2)
    assert read_current(StorePaths(own_store)) == before
    assert set(shown(read(own_store, bundle))) == {i.item_id for i in CATALOGUE[1:]} | {"new"}

    report = refresh(bundle=bundle_folder, items=many, store=own_store)

    assert report.plan.outcome is Outcome.GENERATION
    assert report.encoded == 1  # the first item came back; its text went with it
    assert read_current(StorePaths(own_store)) != before


def test_a_compaction_encodes_nothing_and_leaves_no_deltas(
    own_store, bundle_folder, bundle, tmp_path
) -> None:
    items = write_catalogue(tmp_path / "few.jsonl", [*CATALOGUE[1:], Item("new", "Oak lamp")])
    refresh(bundle=bundle_folder, items=items, store=own_store)
    before = shown(read(own_store, bundle))

    options = Options(extent=Extent.COMPACT)
    report = refresh(bundle=bundle_folder, items=items, store=own_store, options=options)

    assert (report.encoded, report.written, report.sequence) == (0, len(CATALOGUE), 0)
    assert shown(read(own_store, bundle)) == before


def test_changes_that_come_while_a_refresh_runs_are_newer_and_stay(
    own_store, bundle_folder, bundle, tmp_path
) -> None:
    codec = open_codec(bundle_folder, bundle)

    def changing_meanwhile(groups, items):
        late = [Item("B001", "Late steel"), Item("late", "Late lamp")]
        texts = [codec.text(item) for item in late]
        changes = Changes.of(late, codec.encode(texts), texts, ["B002"])
        append_changes(StorePaths(own_store), changes, bundle_id=bundle.bundle_id)
        yield from groups

    edited_items = [replace(item, title=f"{item.title} oak") for item in CATALOGUE[:3]]
    few = write_catalogue(tmp_path / "few.jsonl", [*edited_items, *CATALOGUE[3:]])
    for options in (Options(), ALL):
        refresh(
            bundle=bundle_folder,
            items=few,
            store=own_store,
            options=options,
            progress=changing_meanwhile,
        )

        now = {
            item_id: item.title for item_id, (item, *_) in shown(read(own_store, bundle)).items()
        }
        assert (now["B001"], now["late"], now["B003"]) == (
            "Late steel",
            "Late lamp",
            "Oak desk oak",
        )
        assert "B002" not in now
