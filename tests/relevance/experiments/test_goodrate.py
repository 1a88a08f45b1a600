import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relevance.errors import BadInput, GateRefused
from relevance.experiments.audit_sample import draw, inclusion, read_design, write_design
from relevance.experiments.exposures import experiment_rows, exposures, keys_by_variant, logged_keys
from relevance.experiments.goodrate import goodrate
from relevance.experiments.pair_log import Role
from relevance.experiments.segments import Segment
from tests.relevance.experiments.shown import TRUTH, World, log_table, world

RATE = 0.95


def estimated(one: World, *, seed: int, pairs: int = 300):
    drawn = draw(one.shown, experiment="student", visitors=one.visitors, pairs=pairs, seed=seed)
    judged = {(d.query, d.item_id): one.labels[d.query, d.item_id] for d in drawn}
    return drawn, goodrate(drawn, judged)


def coverage(simulations: int) -> dict[str, float]:
    held = dict.fromkeys((*TRUTH, "difference"), 0)
    for seed, stream in enumerate(np.random.default_rng(7).spawn(simulations)):
        found = estimated(world(stream), seed=seed)[1].segments[0]
        for name, truth in TRUTH.items():
            held[name] += found.rates[name].low <= truth <= found.rates[name].high
        gap = found.differences["candidate"]
        held["difference"] += gap.low <= TRUTH["candidate"] - TRUTH["control"] <= gap.high
    return {name: count / simulations for name, count in held.items()}


@pytest.mark.parametrize("simulations", [20, pytest.param(600, marks=pytest.mark.slow, id="many")])
def test_intervals_hold_the_true_goodrate_as_often_as_they_say(simulations) -> None:
    """From an unequal, stratified, coordinated sample of a simulated shop with a known truth."""
    reach = 4 * math.sqrt(RATE * (1 - RATE) / simulations)

    for name, share in coverage(simulations).items():
        assert abs(share - RATE) <= reach, name


def test_weights_undo_what_the_strata_did() -> None:
    """Over many draws the estimate centres on the rate of everything shown."""
    one = world(np.random.default_rng(0), queries=40)
    rows = zip(one.shown.variants, one.shown.queries, one.shown.item_ids, strict=True)
    is_control = np.array([v == "control" for v in one.shown.variants])
    good = np.array([one.labels[q, i] for _, q, i in rows])
    everything = np.average(good[is_control], weights=one.shown.mass[is_control])

    found = [
        estimated(one, seed=seed, pairs=60)[1].segments[0].rates["control"].value
        for seed in range(100)
    ]

    assert np.mean(found) == pytest.approx(everything, abs=4 * np.std(found) / math.sqrt(100))


def test_what_both_variants_showed_is_judged_once_and_makes_the_difference_sharper() -> None:
    one = world(np.random.default_rng(1))
    drawn, found = estimated(one, seed=0)
    pairs = [(d.query, d.item_id) for d in drawn]
    whole = found.segments[0]

    assert len(set(pairs)) < 0.8 * len(pairs)
    alone = math.hypot(*(rate.standard_error for rate in whole.rates.values()))
    assert whole.differences["candidate"].standard_error < 0.8 * alone


def test_head_and_tail_are_drawn_alike_and_told_apart() -> None:
    one = world(np.random.default_rng(2))
    drawn, found = estimated(one, seed=0)

    assert [part.segment for part in found.segments] == list(Segment)
    of_control = [d for d in drawn if d.variant == "control"]
    head = sum(d.segment is Segment.HEAD for d in of_control)
    assert abs(head - 150) < 4 * math.sqrt(150)
    assert {d.segment for d in drawn if one.visitors[d.query] > 10} == {Segment.HEAD}


def test_the_same_seed_draws_the_same_pairs_and_another_one_others() -> None:
    one = world(np.random.default_rng(3), queries=80)

    assert estimated(one, seed=1)[0] == estimated(one, seed=1)[0]
    assert estimated(one, seed=1)[0] != estimated(one, seed=2)[0]


@given(
    mass=st.lists(st.floats(0.01, 1000), min_size=1, max_size=60),
    size=st.floats(0.1, 80),
)
def test_probabilities_are_proportional_to_mass_and_sum_to_the_size(mass, size) -> None:
    found = inclusion(np.array(mass), size)

    assert ((found > 0) & (found <= 1)).all()
    assert found.sum() == pytest.approx(min(size, len(mass)), rel=1e-6)
    uncertain = found < 1
    if uncertain.any():
        share = found[uncertain] / np.array(mass)[uncertain]
        assert share == pytest.approx(np.full(len(share), share[0]))


def test_a_design_is_read_back_as_it_was_written(tmp_path) -> None:
    drawn = estimated(world(np.random.default_rng(4), queries=40), seed=0)[0]

    write_design(tmp_path / "design.parquet", drawn)

    assert read_design(tmp_path / "design.parquet") == drawn


def test_unjudged_pairs_are_counted_and_a_variant_without_any_is_refused() -> None:
    drawn, _ = estimated(world(np.random.default_rng(5), queries=40), seed=0)
    pairs = sorted({(d.query, d.item_id) for d in drawn})

    found = goodrate(drawn, dict.fromkeys(pairs[::2], True))
    assert (found.drawn, found.unjudged) == (len(pairs), len(pairs) // 2)
    with pytest.raises(BadInput, match="some of every variant's sample"):
        goodrate(drawn, {})


def test_exposures_weigh_rows_by_the_rate_they_were_logged_at() -> None:
    rows = [{"item_id": "a"}] * 3 + [{"item_id": "b", "variant": "candidate", "score": 0.9}]
    table = log_table(rows, rate=0.25)
    hidden = [
        {"position": 10},
        {"score": None},
        {"role": Role.SHADOW.value},
        {"experiment": "another"},
    ]

    found = exposures(
        experiment_rows(pa_concat(table, log_table(hidden, rate=0.25)), "student"), top=10
    )

    assert (found.variants, found.item_ids) == (["candidate", "control"], ["b", "a"])
    assert found.mass.tolist() == [4.0, 12.0]
    assert found.scores.tolist() == [0.9, 0.5]
    assert found.visitors == {"red lamp": 12.0}


def pa_concat(*tables):
    import pyarrow as pa

    return pa.concat_tables(tables)


def test_a_log_without_words_or_without_the_experiment_is_refused() -> None:
    with pytest.raises(BadInput, match="no queries to judge\nhint: serve with --pair-log-text"):
        exposures(log_table([{"query": None}]), top=10)
    with pytest.raises(BadInput, match="no answers of experiment `other`; it has student"):
        experiment_rows(log_table([{}]), "other")


def test_keys_that_crossed_over_are_left_out_and_refused_where_they_are_many() -> None:
    rows = [{"key": f"k{at}", "variant": ("control", "candidate")[at % 2]} for at in range(400)]
    keys = logged_keys(log_table([*rows, {"key": "k1", "variant": "control"}, {"key": None}]))

    counts, crossed = keys_by_variant(keys)

    assert counts == {"control": 200, "candidate": 199}
    assert crossed == {"k1"}
    with pytest.raises(GateRefused, match="2 of 3 keys came to more than one variant"):
        keys_by_variant({"control": {"a", "b"}, "candidate": {"a", "b", "c"}})
