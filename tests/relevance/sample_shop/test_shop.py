"""The default sample shop: large enough, neither trivial nor hopeless, and without a leak."""

import json
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from relevance.aspects import aspect_names
from relevance.domain import Label, Side, Verdict
from relevance.metrics import HEAD_VISITORS
from relevance.records import (
    find_data_set,
    read_catalogue,
    read_judgements,
    read_pairs,
    read_queries,
    read_query_log,
)
from relevance.sample_shop import Shop, ShopConfig, make_shop, write_shop
from relevance.sample_shop.hidden_values import fields_text
from relevance.sample_shop.vocabulary import read_vocabulary
from relevance.text import normalise


@pytest.fixture(scope="module")
def shop() -> Shop:
    return make_shop(ShopConfig())


@pytest.fixture(scope="module")
def prefix(shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_shop(shop, tmp_path_factory.mktemp("shop"))


def tokens(text: str) -> list[str]:
    return re.findall(r"\w+", text.casefold())


def overlap_auc(shop: Shop, texts: dict[str, str]) -> float:
    held = {item_id: set(tokens(text)) for item_id, text in texts.items()}
    asked = [(tokens(p.query.text), held[p.item.item_id]) for p in shop.pairs]
    scores = [sum(token in text for token in query) / len(query) for query, text in asked]
    return float(roc_auc_score([p.good for p in shop.pairs], scores))


def out_of_fold_auc(shop: Shop, features: Sequence[Sequence[float]]) -> float:
    good = np.array([pair.good for pair in shop.pairs])
    queries = [pair.query.text for pair in shop.pairs]
    judge = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    scores = cross_val_predict(
        judge,
        np.array(features, float),
        good,
        groups=queries,
        cv=GroupKFold(5),
        method="predict_proba",
    )
    return float(roc_auc_score(good, scores[:, 1]))


def test_the_shop_has_the_promised_size(shop: Shop) -> None:
    departments = {item.category_path.split(" > ")[0] for item in shop.items}

    assert len(shop.items) == 4400
    assert len({item.item_id for item in shop.items}) == 4400
    assert all(re.fullmatch(r"S\d{6}", item.item_id) for item in shop.items)
    assert len(shop.labelled_queries) == 480
    assert len(shop.queries_unlabelled) == 2600
    assert 5300 <= len(shop.pairs) <= 6400
    assert len(departments) >= 11  # several of the 16 categories share a root
    assert len(read_vocabulary("english").categories) >= 12


def test_titles_are_normalised_and_have_six_to_twenty_five_words(shop: Shop) -> None:
    separators = ("-", "|")
    lengths = [sum(w not in separators for w in item.title.split()) for item in shop.items]

    assert all(item.title == normalise(item.title) for item in shop.items)
    assert min(lengths) >= 6
    assert max(lengths) <= 25
    assert 8 <= float(np.mean(lengths)) <= 16


def test_about_half_of_the_labels_are_good_and_most_queries_have_both(shop: Shop) -> None:
    labels = defaultdict(set)
    for pair in shop.pairs:
        labels[pair.query.text].add(pair.good)

    assert 0.40 <= shop.good_share <= 0.55
    assert np.mean([len(found) == 2 for found in labels.values()]) > 0.98


def test_every_kind_of_query_is_judged_with_about_the_same_share_of_good(shop: Shop) -> None:
    by_kind = defaultdict(list)
    for pair in shop.pairs:
        by_kind[pair.query.kind].append(pair.true_good)

    assert set(by_kind) == {kind.name for kind in read_vocabulary("english").kinds}
    assert all(0.35 <= np.mean(good) <= 0.65 for good in by_kind.values())


def test_labels_are_flipped_at_the_stated_rate(shop: Shop) -> None:
    flipped = np.mean([pair.good != pair.true_good for pair in shop.pairs])

    assert flipped == pytest.approx(shop.config.label_noise, abs=0.012)


def test_token_overlap_helps_but_is_far_from_enough(shop: Shop) -> None:
    titles = {item.item_id: item.title for item in shop.items}
    everything = {item.item_id: f"{item.title} {fields_text(item)}" for item in shop.items}

    assert 0.55 <= overlap_auc(shop, titles) < 0.80
    assert 0.55 <= overlap_auc(shop, everything) < 0.80


def test_an_item_alone_does_not_tell_its_label(shop: Shop) -> None:
    items = {item.item_id: item for item in shop.items}
    shapes = []
    for pair in shop.pairs:
        item = items[pair.item.item_id]
        fields = (item.brand, item.color, item.category_path, item.description, item.bullet_points)
        held = [len(field) for field in fields] + [bool(field) for field in fields]
        digits = sum(c.isdigit() for c in item.title)
        shapes.append(
            [len(item.title), len(item.title.split()), digits, len(item.attributes), *held]
        )

    assert out_of_fold_auc(shop, shapes) < 0.60


def test_a_query_alone_does_not_tell_its_label(shop: Shop) -> None:
    kinds = sorted({pair.query.kind for pair in shop.pairs})
    shapes = [
        [len(p.query.text), len(p.query.text.split()), *(p.query.kind == kind for kind in kinds)]
        for p in shop.pairs
    ]

    assert out_of_fold_auc(shop, shapes) < 0.62


def test_enough_of_what_decides_is_hidden_from_the_fields_and_shown_in_the_title(
    shop: Shop,
) -> None:
    assert 0.25 <= shop.hidden.absent_or_wrong <= 0.45
    assert 0.15 <= shop.hidden.only_paraphrased <= 0.35
    assert shop.hidden.in_title >= 0.75


def test_queries_are_normalised_and_never_repeat(shop: Shop) -> None:
    queries = [*shop.labelled_queries, *shop.queries_unlabelled]

    assert len({query.casefold() for query in queries}) == len(queries)
    assert all(query == normalise(query) for query in queries)
    assert set(shop.visitors) == set(queries)


def test_visitors_follow_zipf_with_a_long_tail(shop: Shop) -> None:
    visitors = sorted(shop.visitors.values(), reverse=True)
    ranks = np.arange(1, 201)
    slope = np.polyfit(np.log(ranks), np.log(visitors[:200]), 1)[0]

    assert -1.3 < slope < -0.8
    assert visitors[-1] >= 1
    assert np.mean(np.array(visitors) <= HEAD_VISITORS) > 0.5
    assert any(shop.visitors[q] > HEAD_VISITORS for q in shop.labelled_queries)


def test_gold_concludes_from_the_truth_and_speaks_of_all_aspects(shop: Shop) -> None:
    spoken: Counter[str] = Counter()
    causes: Counter[str | None] = Counter()
    for pair, judgement in zip(shop.pairs, shop.gold, strict=True):
        thought = judgement.chain_of_thought
        assert thought is not None
        assert (thought.label is Label.GOOD) == pair.true_good == (judgement.log_odds > 0)
        assert not thought.overruled
        assert not thought.unexplained
        spoken.update(finding.aspect for finding in thought.findings)
        causes[thought.cause] += 1

    assert set(spoken) == set(aspect_names())
    assert set(causes) == {None, *aspect_names()}


def test_gold_evidence_stands_in_its_texts_and_agrees_with_a_verdict(shop: Shop) -> None:
    titles = {item.item_id: item.title for item in shop.items}
    for judgement in shop.gold:
        thought = judgement.chain_of_thought
        assert thought is not None
        lengths = {Side.QUERY: len(judgement.query), Side.TITLE: len(titles[judgement.item_id])}
        verdicts = {(f.aspect, f.verdict is Verdict.MATCH) for f in thought.findings}
        for span in judgement.spans:
            assert span.end <= lengths[span.side]
            assert (span.aspect, span.relevance == "relevant") in verdicts

    with_query_evidence = [any(s.side is Side.QUERY for s in j.spans) for j in shop.gold]
    assert np.mean(with_query_evidence) > 0.97


def test_the_written_files_are_a_data_set_that_records_can_read(prefix: Path, shop: Shop) -> None:
    data = find_data_set(prefix)
    items, pairs = read_catalogue(data.items), read_pairs(data.pairs)
    assert data.queries_unlabelled is not None
    assert data.query_log is not None

    assert prefix.name == "shop"
    assert items == shop.items
    assert [(p.query, p.item_id, p.good, p.subset) for p in pairs] == [
        (p.query.text, p.item.item_id, p.good, p.query.kind) for p in shop.pairs
    ]
    assert read_queries(data.queries_unlabelled) == shop.queries_unlabelled
    assert read_query_log(data.query_log) == shop.visitors
    assert read_judgements(Path(f"{prefix}_gold.parquet")) == shop.gold


def test_the_pairs_file_states_the_noise_and_the_hidden_shares(prefix: Path) -> None:
    stated = {
        k.decode(): v.decode()
        for k, v in pq.read_schema(f"{prefix}_pairs.parquet").metadata.items()
    }

    assert stated["label_noise"] == "0.06"
    assert float(stated["deciding_values_absent_or_wrong"]) >= 0.25
    assert stated["sample_shop"].endswith("seed=0 noise=0.06")


def test_attributes_are_json_objects(prefix: Path) -> None:
    column = pq.read_table(f"{prefix}_items.parquet")["attributes_json"].to_pylist()

    assert all(isinstance(json.loads(text), dict) for text in column if text is not None)
