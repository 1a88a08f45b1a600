"""An item's text is the same from the catalogue, out of the store and sent along with a request."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.bundle_scoring import Lengths, RowFormat, encode_pairs, integer_similarities
from relevance.bundle import read_bundle
from relevance.domain import Item
from relevance.item_text import BULLET_CHARACTERS, ItemText, item_text
from relevance.late_interaction import sigmoid
from relevance.records import read_catalogue
from service.encoder import OnnxTokenEncoder
from service.fakes import items_in_memory
from service.item_codec import ItemCodec
from service.job import Job
from service.query_cache import QueryCache
from service.score import rank
from service.scorer import open_scorer
from service.snapshot import Snapshot
from service.store.item_records import items_of, record_batch, record_hashes, text_hash
from service.wire import Candidates, InlineItem
from tests.service.conftest import UNHURRIED

FIELDS = ("title", "brand", "color", "category_path", "description", "bullet_points")
RAW = {
    "title": " Ｏak\u200b  desk",
    "brand": "Acme\n",
    "color": "white",
    "category_path": "home > desks",
    "description": "sturdy",
    "bullet_points": "Solid oak.\n\nThree drawers\u00a0that lock\nﬁnished by hand",
}

QUERY = "red steel lamp"
RICH = (  # alike but for a colour, but for the bullet points
    {"title": "Oak desk"},
    {"title": "Oak desk", "color": "red"},
    {"title": "Oak desk", "color": "red", "bullet_points": "A lamp\nof steel"},
)
DIFFERENT = {  # how many scores a template tells apart among them
    ItemText.TITLE: 1,
    ItemText.TITLE_BRAND_COLOR: 2,
    ItemText.TITLE_BRAND_COLOR_BULLETS: 3,
}


@pytest.mark.parametrize("template", ItemText)
def test_a_catalogues_item_has_the_text_of_its_twin_that_is_sent_along(template, tmp_path: Path):
    """Lines of bullet points are gone on both ways before the text is made."""
    path = tmp_path / "items.parquet"
    pq.write_table(pa.Table.from_pylist([{"item_id": "1", **RAW}]), path)

    (read,) = read_catalogue(path)
    (stored,) = items_of(record_batch([read]))
    sent = InlineItem("1", **RAW).to_item()

    texts = {item_text(item, template) for item in (read, stored, sent)}
    assert len(texts) == 1
    assert "\n" not in texts.pop()


@UNHURRIED
@given(st.fixed_dictionaries({name: st.text(max_size=200) for name in FIELDS}))
def test_every_way_gives_one_text_under_every_template(raw):
    sent = InlineItem("1", **raw).to_item()
    (stored,) = items_of(record_batch([sent]))

    for template in ItemText:
        assert item_text(stored, template) == item_text(sent, template)
        assert item_text(Item("1", **raw), template) == item_text(sent, template)


def test_only_what_a_template_reads_changes_the_content_hash():
    """A change behind the cut is a change of fields, and no reason to encode the item anew."""
    old = Item("1", "Oak desk", bullet_points="solid oak " * 40)
    near = Item("1", "Oak desk", bullet_points="solid elm " + "solid oak " * 39)
    far = Item("1", "Oak desk", bullet_points=old.bullet_points[: BULLET_CHARACTERS + 40] + "elm")

    def changed(item: Item, template: ItemText) -> bool:
        return text_hash(item_text(item, template)) != text_hash(item_text(old, template))

    assert changed(near, ItemText.TITLE_BRAND_COLOR_BULLETS)
    assert not changed(near, ItemText.TITLE_BRAND_COLOR)
    assert not changed(far, ItemText.TITLE_BRAND_COLOR_BULLETS)
    assert len(set(record_hashes(record_batch([old, near, far])).tolist())) == 3


@pytest.mark.parametrize("field", ["title", "brand", "color", "bullet_points"])
def test_a_text_beside_a_field_that_an_encoder_may_read_is_refused(field):
    """`text` stands for all that the encoder reads, whichever template the bundle has."""
    with pytest.raises(ValueError, match="expected either `text` or `title`, `brand`, `color`"):
        InlineItem("1", text="oak desk", **{field: "Acme"})


@pytest.mark.parametrize("template", ItemText)
def test_whatever_the_template_an_item_sent_along_scores_as_its_cached_twin(
    template: ItemText, bundle_folder: Path
):
    """And both as the bundle's own runner scores the template's text."""
    bare = {"item_text": template, "logit_weight": 1.0, "logit_bias": 0.0}
    bundle = read_bundle(bundle_folder).model_copy(update=bare)
    encoder = OnnxTokenEncoder.read(bundle_folder, bundle)
    scorer, _ = open_scorer(bundle_folder, bundle)
    twins = [InlineItem(f"{at}", **fields) for at, fields in enumerate(RICH)]
    items = [twin.to_item() for twin in twins]
    cache = items_in_memory(items, ItemCodec(encoder, bundle))
    snapshot = Snapshot(bundle, encoder, scorer, cache, QueryCache(0))
    asked = Candidates(query=QUERY, item_ids=[item.item_id for item in items], items=twins)

    cached, inline = np.split(rank(Job(snapshot), asked).scored.scores, 2)

    lengths = Lengths(query=bundle.max_query_tokens, item=bundle.max_item_tokens)
    pairs = [(QUERY, item_text(item, template)) for item in items]
    encoded = encode_pairs(bundle_folder, pairs, lengths=lengths)
    own = sigmoid(integer_similarities(bundle_folder, encoded, RowFormat.of(bundle)))
    assert cached.tobytes() == inline.tobytes() == own.tobytes()
    assert len(set(cached.tolist())) == DIFFERENT[template]
