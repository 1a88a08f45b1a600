"""The torch MaxSim against its definition, what may flow where, and where training starts."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from relevance import late_interaction
from tests.trainer.make_students import TITLES, make_student, make_text
from trainer.students.colbert import (
    ColBERT,
    item_attention,
    mean_maxsim,
    paired_similarities,
    query_attention,
    similarities,
)
from trainer.students.texts import TextBatch, pad, tokenise

lengths = st.lists(st.tuples(st.integers(1, 5), st.integers(1, 6)), min_size=1, max_size=5)


@pytest.fixture(scope="module")
def student(backbone_folder) -> ColBERT:
    return make_student(backbone_folder)


@pytest.fixture(scope="module")
def titles(backbone) -> TextBatch:
    return pad(tokenise(backbone.tokenizer, TITLES, length=12))


def unit(random: np.random.Generator, tokens: int, dim: int = 4) -> np.ndarray:
    values = random.normal(size=(tokens, dim)).astype(np.float32)
    return values / np.linalg.norm(values, axis=1, keepdims=True)


def scattered(
    random: np.random.Generator, rows: list[np.ndarray], longest: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Each text's rows in order at random places of a padded batch, large noise everywhere else."""
    padded = 100 * random.normal(size=(len(rows), longest, rows[0].shape[1])).astype(np.float32)
    is_token = np.zeros((len(rows), longest), dtype=bool)
    for at, row in enumerate(rows):
        places = np.sort(random.permutation(longest)[: len(row)])
        padded[at, places], is_token[at, places] = row, True
    return torch.from_numpy(padded), torch.from_numpy(is_token)


def normalised(rows: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.normalize(rows, dim=-1)


@given(st.integers(0, 10**6), lengths)
def test_mean_maxsim_is_the_definition_whatever_stands_beside_the_tokens(seed, of_pairs):
    random = np.random.default_rng(seed)
    queries = [unit(random, tokens) for tokens, _ in of_pairs]
    items = [unit(random, tokens) for _, tokens in of_pairs]
    padded_queries, query_is_token = scattered(random, queries, 7)
    padded_items, item_is_token = scattered(random, items, 8)

    cosines = similarities(padded_queries, padded_items)
    found = mean_maxsim(cosines, query_is_token, item_is_token)

    expected = [
        late_interaction.mean_maxsim(query, item, np.ones(len(item), dtype=bool))
        for query, item in zip(queries, items, strict=True)
    ]
    assert found.tolist() == pytest.approx(expected, abs=1e-6)


@given(st.integers(0, 10**6), lengths)
def test_attention_of_either_side_is_the_best_cosine_with_a_real_token(seed, of_pairs):
    random = np.random.default_rng(seed)
    queries, query_is_token = scattered(random, [unit(random, q) for q, _ in of_pairs], 7)
    items, item_is_token = scattered(random, [unit(random, i) for _, i in of_pairs], 8)
    cosines = similarities(queries, items)

    of_query = query_attention(cosines, item_is_token)
    of_item = item_attention(cosines, query_is_token)

    for pair in range(len(of_pairs)):
        table = cosines[pair].numpy()
        real_items, real_queries = item_is_token[pair].numpy(), query_is_token[pair].numpy()
        assert of_query[pair].numpy() == pytest.approx(table[:, real_items].max(axis=1))
        assert of_item[pair].numpy() == pytest.approx(table[real_queries].max(axis=0))


@given(
    st.integers(0, 10**6),
    st.integers(1, 4).flatmap(
        lambda texts: st.lists(st.tuples(*[st.integers(0, texts - 1)] * 2), min_size=1, max_size=9)
    ),
)
def test_pairs_of_shared_texts_get_the_cosines_of_texts_copied_for_each_pair(seed, pairs):
    random = torch.Generator().manual_seed(seed)
    queries, items = (torch.randn(4, tokens, 5, generator=random) for tokens in (3, 6))
    query_rows, item_rows = torch.tensor(pairs).T

    found = paired_similarities(queries, items, query_rows, item_rows)

    expected = similarities(queries[query_rows], items[item_rows])
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


def test_attention_to_a_text_without_tokens_is_minus_infinity():
    nothing = torch.zeros((1, 3), dtype=torch.bool)

    assert query_attention(torch.ones((1, 2, 3)), nothing).tolist() == [[-torch.inf] * 2]


@given(st.integers(0, 10**6))
def test_gradients_flow_to_each_query_tokens_best_item_token_and_to_no_other(seed):
    random = np.random.default_rng(seed)
    queries, query_is_token = scattered(random, [unit(random, 3)], 5)
    items, item_is_token = scattered(random, [unit(random, 4)], 6)
    cosines = similarities(normalised(queries), normalised(items)).requires_grad_()

    mean_maxsim(cosines, query_is_token, item_is_token).sum().backward()

    expected = np.zeros((5, 6))
    for at in np.flatnonzero(query_is_token[0]):
        real = np.where(item_is_token[0], cosines[0, at].detach(), -np.inf)
        expected[at, real.argmax()] = 1 / 3
    assert cosines.grad[0].numpy() == pytest.approx(expected)


def test_padding_a_text_leaves_its_token_embeddings_alone(student):
    short, long = make_text(10, 11), make_text(*range(20, 30))

    with torch.no_grad():
        alone = student.embed(pad([short]))[0]
        in_company = student.embed(pad([long, short]))[1, :4]

    torch.testing.assert_close(alone, in_company, rtol=0, atol=1e-6)


def test_what_stands_in_padded_positions_is_never_read(student):
    batch = pad([make_text(10, 11), make_text(*range(20, 30))])
    other = batch.ids.where(batch.attention.bool(), torch.tensor(17))

    with torch.no_grad():
        found = student.embed(TextBatch(other, batch.attention, batch.is_token))
        expected = student.embed(batch)

    torch.testing.assert_close(found[batch.is_token], expected[batch.is_token], rtol=0, atol=1e-6)


def test_token_embeddings_are_float32_of_unit_length_even_under_autocast(student, titles):
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        found = student.embed(titles)

    assert found.dtype == torch.float32
    assert found.shape == (*titles.ids.shape, 16)
    assert found.norm(dim=-1).numpy() == pytest.approx(1, abs=1e-5)


@given(st.floats(-30, 30), st.floats(-1, 1), st.floats(-1, 1))
def test_a_higher_similarity_never_gets_a_lower_logit(raw_weight, one, other):
    student = ColBERT(torch.nn.Identity(), hidden=4, dim=2)
    with torch.no_grad():
        student.raw_weight.fill_(raw_weight)
        found = student.logits(torch.tensor(sorted([one, other])))

    assert student.weight > 0
    assert found[0] <= found[1]


def hidden_rows(student: ColBERT, titles: TextBatch) -> torch.Tensor:
    with torch.no_grad():
        output = student.encoder(input_ids=titles.ids, attention_mask=titles.attention)
    return normalised(output.last_hidden_state[titles.is_token]).double()


def gram_error(rows: torch.Tensor, projection: torch.Tensor) -> float:
    """How far the projected rows' dot products are from the cosines of all pairs of tokens."""
    kept = rows @ projection.double().T
    return float((rows @ rows.T - kept @ kept.T).norm())


@settings(max_examples=20)
@given(dim=st.sampled_from([1, 4, 16, 32]), seed=st.integers(0, 10**6))
def test_no_projection_keeps_pretrained_cosines_better_than_the_starting_one(
    backbone_folder, titles, dim, seed
):
    student = make_student(backbone_folder, dim=dim)
    rows = hidden_rows(student, titles)

    student.start_projection(titles)

    gaussian = torch.randn(32, dim, generator=torch.Generator().manual_seed(seed))
    random = torch.linalg.qr(gaussian).Q.T
    found = gram_error(rows, student.projection.weight.detach())
    eigenvalues = torch.linalg.eigvalsh(rows.T @ rows)
    best_possible = eigenvalues[: 32 - dim].norm().item()  # Eckart and Young (1936)
    assert found == pytest.approx(best_possible, rel=1e-4, abs=1e-3)
    assert found <= gram_error(rows, random) + 1e-3


def test_the_starting_projection_has_orthonormal_rows(student, titles):
    student.start_projection(titles)

    weight = student.projection.weight.detach()
    torch.testing.assert_close(weight @ weight.T, torch.eye(16), rtol=0, atol=1e-5)


def test_the_starting_projection_spreads_its_first_axes_over_all_dimensions(student, titles):
    rows = hidden_rows(student, titles)

    student.start_projection(titles)

    energy = (rows @ student.projection.weight.detach().double().T).square().mean(dim=0)
    first_axis = torch.linalg.eigvalsh(rows.T @ rows)[-1] / len(rows)
    assert energy.max() < 0.8 * first_axis


def test_starting_twice_gives_the_same_bits_whatever_the_seed(student, titles):
    found = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        student.start_projection(titles)
        found.append(student.projection.weight.detach().clone())

    assert torch.equal(*found)


@given(st.lists(st.floats(-1, 1, width=32), min_size=1, max_size=9))
def test_the_starting_bias_puts_the_logits_zero_at_the_median(values):
    student, measured = ColBERT(torch.nn.Identity(), hidden=4, dim=2), torch.tensor(values)

    student.start_bias(measured)

    with torch.no_grad():
        found = student.logits(measured)
    assert (found >= -1e-5).sum() >= len(values) / 2
    assert (found <= 1e-5).sum() >= len(values) / 2
