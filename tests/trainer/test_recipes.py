"""Recipes by name, with and without changes."""

from dataclasses import FrozenInstanceError

import pytest

from relevance.errors import BadInput
from trainer.recipes import RECIPES, Recipe, ce, mkd, recipe_named


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_is_found_by_the_name_it_bears(name):
    assert recipe_named(name) == RECIPES[name]()
    assert recipe_named(name).name == name


def test_only_settings_that_were_given_change():
    assert recipe_named("mkd", steps=3, seed=None, lambda_cot=0.0) == Recipe(
        **{**{f: getattr(mkd(), f) for f in Recipe.__slots__}, "steps": 3, "lambda_cot": 0.0}
    )


def test_an_unknown_name_is_bad_input_that_lists_the_known():
    with pytest.raises(BadInput, match=r"expected one of ce, mkd.*, got `sota`"):
        recipe_named("sota")


def test_cross_entropy_alone_hears_no_teacher_and_distillation_does():
    assert not ce().uses_teacher
    assert mkd().uses_teacher


@pytest.mark.parametrize("signal", [{"lambda_score": 0.1}, {"lambda_cot": 0.1}])
def test_any_signal_of_the_teacher_needs_one(signal):
    assert recipe_named("ce", **signal).uses_teacher


def test_a_recipe_does_not_change():
    with pytest.raises(FrozenInstanceError):
        ce().steps = 1  # type: ignore[misc]
