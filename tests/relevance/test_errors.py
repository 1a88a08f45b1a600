"""The exception tree: what catches what, and what a command exits with."""

import pickle

import pytest

from relevance.errors import (
    BadBundle,
    BadGeneration,
    BadInput,
    GateRefused,
    MalformedText,
    RelevanceError,
    Unavailable,
)


@pytest.mark.parametrize(
    ("kind", "exit_code"),
    [
        (RelevanceError, 1),
        (BadInput, 2),
        (MalformedText, 2),
        (BadBundle, 3),
        (BadGeneration, 3),
        (GateRefused, 4),
        (Unavailable, 5),
    ],
)
def test_every_error_is_of_the_tree_and_has_its_exit_code(kind, exit_code):
    assert issubclass(kind, RelevanceError)
    assert kind.exit_code == exit_code


def test_malformed_text_says_where():
    fault = MalformedText("expected a heading, got 'x'", position=7)

    assert isinstance(fault, BadInput)
    assert fault.position == 7
    assert str(fault) == "expected a heading, got 'x' (at character 7)"


def test_a_fault_with_a_position_survives_the_way_from_another_process():
    fault = pickle.loads(pickle.dumps(MalformedText("expected a verdict", position=7)))

    assert (str(fault), fault.position) == ("expected a verdict (at character 7)", 7)
