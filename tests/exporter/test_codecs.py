"""The words of `--codec`, narrower students, and whole bundles made with both."""

import numpy as np
import pytest
import torch

from exporter.attempt import CalibrationPairs
from exporter.bundle_scoring import Lengths, RowFormat, encode_pairs, integer_similarities
from exporter.codecs import codec_named
from exporter.export import ExportOptions, export_bundle
from exporter.narrow import narrowed
from exporter.parity import FEWEST_LABELS
from exporter.verify import verify_bundle
from relevance.bundle import Precision
from relevance.errors import BadInput
from relevance.item_rows import RowCodec
from relevance.metrics import roc_auc
from tests.trainer.make_students import CATALOGUE, SENTENCES, TITLES, shop_pairs


@pytest.mark.parametrize(
    ("words", "dim", "rows"),
    [
        ("", None, RowCodec()),
        ("dim64", 64, RowCodec()),
        (" pool3 , dim96", 96, RowCodec(pooling=3)),
        ("skip-punctuation,pool2", None, RowCodec(pooling=2, skip_punctuation=True)),
        ("4bit,dim64", 64, RowCodec(bits=4)),
    ],
)
def test_words_name_a_codec_in_any_order(words, dim, rows):
    found = codec_named(words)

    assert (found.dim, found.rows) == (dim, rows)


@pytest.mark.parametrize("words", ["dim0", "pool1", "pool9", "dim64;pool2", "small"])
def test_other_words_are_refused_with_those_there_are(words):
    with pytest.raises(BadInput, match="expected words of dim<number>, pool<2 to 8>"):
        codec_named(words)


def token_rows(checkpoint) -> torch.Tensor:
    from trainer.students.embedding import embed_texts
    from trainer.students.texts import tokenise

    tokenised = tokenise(checkpoint.tokenizer, SENTENCES, length=12)
    return torch.cat(embed_texts(checkpoint.student, tokenised))


def test_a_narrowed_student_keeps_more_of_every_cosine_than_its_first_dimensions(checkpoint):
    full = token_rows(checkpoint)
    narrow = token_rows(narrowed(checkpoint, 8, texts=SENTENCES))
    cut = torch.nn.functional.normalize(full[:, :8], dim=-1)

    exact = full @ full.T
    kept, lost = ((exact - rows @ rows.T).abs().mean() for rows in (narrow, cut))

    assert narrow.shape == (len(full), 8)
    assert torch.allclose(narrow.norm(dim=-1), torch.ones(len(full)), atol=1e-5)
    assert kept < lost


def test_at_its_own_width_a_student_stays_as_it_is_and_wider_is_refused(checkpoint):
    assert narrowed(checkpoint, checkpoint.card.dim, texts=SENTENCES) is checkpoint
    for dim in (0, checkpoint.card.dim + 1):
        with pytest.raises(BadInput, match=f"expected 1 to {checkpoint.card.dim}"):
            narrowed(checkpoint, dim, texts=SENTENCES)


def test_a_trained_head_is_taken_as_it_was_trained(checkpoint):
    from dataclasses import replace

    from trainer.students.colbert import ColBERT

    student = checkpoint.student
    nested = ColBERT(student.encoder, hidden=32, dim=16, heads=(8,)).eval()
    nested.projection.weight = student.projection.weight
    with torch.no_grad():
        nested.head_weights.fill_(7.0)
    card = checkpoint.card.model_copy(update={"heads": (8,)})

    found = narrowed(replace(checkpoint, student=nested, card=card), 8, texts=SENTENCES)

    assert torch.equal(found.student.projection.weight, student.projection.weight[:8])
    assert found.student.raw_weight.item() == 7.0
    assert (found.card.dim, found.card.heads) == (8, ())


@pytest.fixture(scope="module")
def small(checkpoint, shop, tmp_path_factory):
    """A bundle with everything that makes items smaller, its encoder in 16 bits."""
    folder = tmp_path_factory.mktemp("small") / "bundle"
    options = ExportOptions(
        precision=Precision.FP16,
        codec=RowCodec(pooling=2, skip_punctuation=True),
        dim=12,
        licence="CC0",
    )
    few = shop.calibration[: FEWEST_LABELS - 1]  # too few for a ROC-AUC to refuse it by
    pairs = CalibrationPairs(few, CATALOGUE)
    return folder, export_bundle(checkpoint, pairs, folder, source={}, options=options)


def test_a_small_bundle_says_what_it_is_and_verifies(small):
    folder, manifest = small

    assert (manifest.dim, manifest.rows, manifest.row_bytes) == (12, 6, 12)
    assert manifest.precision is Precision.FP16
    assert manifest.licence == "CC0"
    assert verify_bundle(folder).logit_max_difference == 0


def test_a_small_bundle_still_ranks(small):
    folder, manifest = small
    pairs = shop_pairs()[::7]
    lengths = Lengths(manifest.max_query_tokens, manifest.max_item_tokens)
    texts = [(pair.query, CATALOGUE[pair.item_id].title) for pair in pairs]

    found = integer_similarities(
        folder, encode_pairs(folder, texts, lengths=lengths), RowFormat.of(manifest)
    )

    assert roc_auc(np.array([bool(pair.good) for pair in pairs]), found) > 0.8
    assert len(TITLES) == 30
