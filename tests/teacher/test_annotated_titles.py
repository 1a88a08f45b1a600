"""Marked titles sharpen a lexicon: what is marked is found, what is disproved is not."""

from teacher.annotated_titles import AnnotatedTitle, sharpened
from teacher.online.title_values import TitleReader, template_of
from tests.teacher.make_teacher import lexicon


def title(text: str, **values: tuple[str, ...]) -> AnnotatedTitle:
    return AnnotatedTitle(text, text, values)


def test_a_marked_value_is_found_even_if_it_came_but_once() -> None:
    reader = sharpened(lexicon(), [title("Dark Roast Coffee", style=("Dark Roast",))])

    assert reader.values("coffee, dark roast")["style"] == ["dark roast"]
    assert "dark roast" not in TitleReader(lexicon()).values("coffee, dark roast").get("style", ())


def test_a_term_that_the_marks_disprove_is_no_longer_one() -> None:
    teas = [title(f"Black Tea {n}", product=("Black Tea",)) for n in "abc"]
    cups = [title(f"Cup {n}, black, no tea", style=("no tea",)) for n in "abc"]

    reader = sharpened(lexicon(), [*teas, *cups])

    assert "color" not in reader.values("Cup, black")
    assert reader.values("Black Tea")["product"] == ["Black Tea"]


def test_a_number_stands_for_every_number() -> None:
    marked = [title("Sun lotion SPF 30", other=("SPF 30",)), title("SPF 50", other=("SPF 50",))]

    reader = sharpened(lexicon(), marked)

    assert reader.values("lotion spf 45")["other"] == ["spf 45"]
    assert template_of("spf 45") == template_of("spf 30") == "spf #"


def test_values_of_different_aspects_never_overlap() -> None:
    marked = [title("Red Bottle 24 oz", product=("Red Bottle",), color=("Red",))]

    found = sharpened(lexicon(), marked).values("red bottle, 24 oz")

    assert found["product"] == ["red bottle"]
    assert "color" not in found
