"""Settings as they are typed: read by type, refused in words."""

import pytest

from relevance.errors import BadInput
from relevance.item_text import ItemText
from trainer.recipes import CotLoss, Precision, Recipe
from trainer.settings import changed

RECIPE = Recipe("any")


def test_every_kind_of_setting_is_read_by_its_type():
    found = changed(
        RECIPE,
        [
            "student=bert",
            "steps=7",
            "learning_rate=3e-5",
            "unscaled=true",
            "layers=2,4,6",
            "heads=",
            "cot=tagging",
            "precision=float32",
            "item_text=title_brand_color",
        ],
    )

    assert found == Recipe(
        "any",
        student="bert",
        steps=7,
        learning_rate=3e-5,
        unscaled=True,
        layers=(2, 4, 6),
        cot=CotLoss.TAGGING,
        precision=Precision.FLOAT32,
        item_text=ItemText.TITLE_BRAND_COLOR,
    )


@pytest.mark.parametrize("setting", ["speed=3", "steps", "=4", ""])
def test_an_unknown_setting_is_named(setting):
    with pytest.raises(BadInput, match="setting: expected one of name, steps"):
        changed(RECIPE, [setting])


@pytest.mark.parametrize(
    ("setting", "wanted"),
    [
        ("steps=many", "steps: expected int: many"),
        ("layers=1,b", "layers: expected numbers joined by commas: 1,b"),
        ("cot=guess", "cot: expected one of attention, literal, tagging: guess"),
        ("unscaled=1", "unscaled: expected true or false: 1"),
    ],
)
def test_a_value_of_another_kind_says_what_was_wanted(setting, wanted):
    with pytest.raises(BadInput, match=f"setting {wanted}"):
        changed(RECIPE, [setting])
