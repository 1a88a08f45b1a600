"""What search and FAISS need of a new generation is there before the generation answers."""

import pytest
from typer.testing import CliRunner

from relevance.domain import Item
from relevance.errors import BadInput, Unavailable
from relevance.generation import StorePaths, read_current
from relevance.item_rows import RowCodec
from service.candidates import index as candidates
from service.candidates.live import open_candidates
from service.derived import derived_settings, is_derived
from service.faiss_store import token_store
from service.faiss_store.token_store import TokenCodec, build_tokens, open_tokens
from service.refresh.beside import Index
from service.refresh.commands import app
from service.refresh.compact import compact
from service.refresh.plan import Extent, Options, Outcome
from service.refresh.refresh import refresh
from service.store.publish import writing
from service.store.retention import collect_garbage
from tests.service.conftest import CATALOGUE, write_catalogue
from tests.service.make_bundle import make_bundle
from tests.service.shown import read

ALL = Options(extent=Extent.ALL)
WANTED = Options(index=Index.WANTED)


@pytest.fixture
def indexed(own_store, bundle) -> StorePaths:
    """A store whose generation has an index of another span than usual, and a token store."""
    paths = StorePaths(own_store)
    candidates.build_candidates(paths, read(own_store, bundle), span=3)
    build_tokens(paths, read(own_store, bundle), TokenCodec.FLAT)
    return paths


def test_a_new_generation_has_what_the_one_before_has_made_the_same_way(
    indexed, bundle_folder, bundle, catalogue_file
) -> None:
    report = refresh(bundle=bundle_folder, items=catalogue_file, store=indexed.root, options=ALL)

    now = read(indexed.root, bundle)
    settings = derived_settings(indexed, candidates.KIND, now.generation_id)
    assert now.generation_id == report.generation_id
    assert set(report.beside) == {candidates.KIND, token_store.KIND}
    assert settings is not None
    assert settings["span"] == 3
    assert open_candidates(indexed, now).index is not None
    assert open_tokens(indexed, now).codec is TokenCodec.FLAT


def test_a_compaction_keeps_the_index_too(indexed, bundle) -> None:
    report = compact(indexed.root)

    assert open_candidates(indexed, read(indexed.root, bundle)).index is not None
    assert report.beside == (candidates.KIND, token_store.KIND)


def test_no_index_is_made_unasked_where_there_was_none(
    own_store, bundle_folder, bundle, catalogue_file
) -> None:
    report = refresh(bundle=bundle_folder, items=catalogue_file, store=own_store, options=ALL)

    assert report.beside == ()
    assert open_candidates(StorePaths(own_store), read(own_store, bundle)).index is None


def test_an_index_that_is_asked_for_is_made_for_what_stays_current_and_made_once(
    own_store, bundle_folder, bundle, catalogue_file, tmp_path
) -> None:
    before = read_current(StorePaths(own_store))
    few = write_catalogue(tmp_path / "few.jsonl", [*CATALOGUE, Item("new", "Oak lamp")])

    reports = [
        refresh(bundle=bundle_folder, items=items, store=own_store, options=WANTED)
        for items in (catalogue_file, few, few)
    ]

    outcomes = [report.plan.outcome for report in reports]
    assert outcomes == [Outcome.NOTHING, Outcome.DELTA, Outcome.NOTHING]
    assert [report.beside for report in reports] == [(candidates.KIND,), (), ()]
    assert read_current(StorePaths(own_store)) == before
    assert open_candidates(StorePaths(own_store), read(own_store, bundle)).index is not None


def test_an_index_that_is_not_wanted_any_more_is_left_out(
    indexed, bundle_folder, bundle, catalogue_file
) -> None:
    words = ["--bundle", bundle_folder, "--items", catalogue_file, "--store", indexed.root]

    done = CliRunner().invoke(app, [*map(str, words), "--full", "--no-index", "--workers", "1"])

    assert done.exit_code == 0, done.output
    assert "beside it   faiss\n" in done.stdout
    assert open_candidates(indexed, read(indexed.root, bundle)).index is None


def test_an_index_that_cannot_be_written_leaves_what_is_current_and_costs_no_second_encoding(
    own_store, bundle_folder, bundle, catalogue_file
) -> None:
    before = read_current(StorePaths(own_store))
    in_the_way = own_store / candidates.KIND
    options = Options(extent=Extent.ALL, index=Index.WANTED)
    arguments = {"bundle": bundle_folder, "items": catalogue_file, "store": own_store}

    def in_its_way(groups, items):
        yield from groups
        in_the_way.write_text("a file where the folder should be")

    with pytest.raises(Unavailable, match="cannot be written"):
        refresh(**arguments, options=options, progress=in_its_way)

    assert read_current(StorePaths(own_store)) == before
    in_the_way.unlink()
    report = refresh(**arguments, options=options)
    assert (report.resumed, report.encoded) == (len(CATALOGUE), 0)
    assert open_candidates(StorePaths(own_store), read(own_store, bundle)).index is not None


def nothing_is_encoded(groups, items):
    raise AssertionError("encoding began")


def test_a_bundle_whose_rows_fit_no_token_store_is_refused_before_it_encodes(
    indexed, catalogue_file, tmp_path
) -> None:
    before = read_current(indexed)
    make_bundle(tmp_path / "small", codec=RowCodec(bits=4))

    with pytest.raises(BadInput, match="expected rows of 8 bits a value for FAISS's token store"):
        refresh(
            bundle=tmp_path / "small",
            items=catalogue_file,
            store=indexed.root,
            progress=nothing_is_encoded,
        )

    assert read_current(indexed) == before


def test_what_was_made_for_a_generation_that_never_came_is_removed_by_the_next_writer(
    indexed, bundle
) -> None:
    current = read_current(indexed).generation
    for name in ("20200101-never", ".20200101-never.half"):
        (indexed.root / candidates.KIND / name).mkdir()

    with writing(indexed):
        pass

    left = [path.name for path in (indexed.root / candidates.KIND).iterdir()]
    assert left == [current]


def test_garbage_collection_takes_index_and_markers_along(
    indexed, bundle_folder, bundle, catalogue_file
) -> None:
    before = read(indexed.root, bundle)
    open_candidates(indexed, before)  # read whole, which is remembered
    open_tokens(indexed, before)
    refresh(bundle=bundle_folder, items=catalogue_file, store=indexed.root, options=ALL)

    with writing(indexed):
        collect_garbage(indexed, keep=0)

    assert not is_derived(indexed, candidates.KIND, before.generation_id)
    assert not list((indexed.root / "verified").glob(f"*/*{before.generation_id}"))
