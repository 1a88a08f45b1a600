"""Small shops, seeds and settings: what other tests rely on."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from relevance.data_commands import app
from relevance.errors import BadInput
from relevance.sample_shop import ShopConfig, make_shop, write_shop

TABLES = ("items", "pairs", "queries_unlabelled", "query_log", "gold")


def small(*, seed: int = 0, label_noise: float = 0.06) -> ShopConfig:
    return ShopConfig(
        seed=seed, items=200, labelled_queries=30, unlabelled_queries=60, label_noise=label_noise
    )


def written(config: ShopConfig, folder: Path) -> dict[str, bytes]:
    prefix = write_shop(make_shop(config), folder)
    return {name: Path(f"{prefix}_{name}.parquet").read_bytes() for name in TABLES}


def test_the_same_seed_writes_the_same_bytes(tmp_path: Path) -> None:
    assert written(small(), tmp_path / "one") == written(small(), tmp_path / "two")


def test_another_seed_makes_another_shop(tmp_path: Path) -> None:
    one, two = written(small(), tmp_path / "one"), written(small(seed=1), tmp_path / "two")

    assert all(one[name] != two[name] for name in TABLES)


@pytest.mark.parametrize("seed", range(6))
def test_a_small_shop_has_what_was_asked_for(seed: int) -> None:
    shop = make_shop(small(seed=seed))

    assert len(shop.items) == 200
    assert len(shop.labelled_queries) == 30
    assert len(shop.queries_unlabelled) == 60
    assert 0.35 <= shop.good_share <= 0.65


def test_more_queries_leave_the_catalogue_as_it_is() -> None:
    few = make_shop(small())
    more = make_shop(ShopConfig(items=200, labelled_queries=40, unlabelled_queries=80))

    assert few.items == more.items


def test_without_noise_labels_are_the_truth() -> None:
    shop = make_shop(small(label_noise=0.0))

    assert all(pair.good == pair.true_good for pair in shop.pairs)


def test_a_shop_too_small_for_its_queries_is_refused() -> None:
    config = ShopConfig(items=3, labelled_queries=500, unlabelled_queries=500)

    with pytest.raises(BadInput, match=r"expected 500 \+ 500 different queries"):
        make_shop(config)


@pytest.mark.parametrize("noise", [-0.1, 0.5])
def test_noise_that_would_hide_the_truth_is_refused(noise: float) -> None:
    with pytest.raises(BadInput, match="label_noise"):
        ShopConfig(label_noise=noise)


def test_nothing_to_generate_is_refused() -> None:
    with pytest.raises(BadInput, match="items: expected at least 1"):
        ShopConfig(items=0)


def test_an_unknown_language_is_refused() -> None:
    with pytest.raises(BadInput, match="none named `klingon`"):
        make_shop(ShopConfig(language="klingon"))


def test_the_command_writes_the_shop_and_says_what_it_made(tmp_path: Path) -> None:
    sizes = ["--items", "200", "--labelled-queries", "20", "--unlabelled-queries", "40"]
    options = ["--out", str(tmp_path), *sizes, "--noise", "0.1"]

    told = CliRunner().invoke(app, ["sample-shop", *options])

    assert told.exit_code == 0
    assert "200 items" in told.output
    assert "20 labelled queries, 40 unlabelled" in told.output
    assert "label noise 10.0%" in told.output
    assert (tmp_path / "shop_items.parquet").is_file()
