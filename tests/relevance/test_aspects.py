"""The list of aspects: what ships, and what a shop's own list must keep to."""

import pytest

from relevance.aspects import aspect_names, aspects, read_aspects
from relevance.errors import BadInput

ASPECT = '[[aspect]]\nname = "{}"\npaper_name = "{}"\nchinese = "{}"\ndefinition = "…"\n'
OTHER = ASPECT.format("other", "other", "其他")


def write(folder, *tables):
    path = folder / "aspects.toml"
    path.write_text("".join(tables), encoding="utf-8")
    return path


def test_the_papers_fourteen_aspects_ship_in_their_order():
    expected = (
        "category product brand model_number store color material main_or_accessory "
        "style season set_or_single gender age other"
    )

    assert aspect_names() == tuple(expected.split())


def test_every_aspect_says_what_it_is():
    assert all(aspect.definition and all(aspect.names) for aspect in aspects())


def test_a_shop_may_have_its_own_list(tmp_path):
    path = write(tmp_path, ASPECT.format("pattern", "pattern", "图案"), OTHER)

    assert [aspect.name for aspect in read_aspects(path)] == ["pattern", "other"]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "expected a list of"),
        ("[[aspect]", "expected a list of"),
        ('[[aspect]]\nname = "other"\n', "expected a list of"),
        (ASPECT.format("color", "color", "颜色"), "expected an aspect named `other`"),
        (OTHER + ASPECT.format("color", "Other", "颜色"), "got `other` twice"),
        (OTHER + OTHER, "twice"),
        (OTHER + ASPECT.format("a:b", "c", "d"), "without a colon, got 'a:b'"),
        (OTHER + ASPECT.format("a", " c", "d"), "without a colon, got ' c'"),
        (OTHER + ASPECT.format("a", "c", ""), "without a colon, got ''"),
    ],
)
def test_a_list_that_cannot_be_spoken_of_is_refused_naming_the_file(tmp_path, text, fault):
    path = write(tmp_path, text)

    with pytest.raises(BadInput) as refusal:
        read_aspects(path)

    assert str(path) in str(refusal.value)
    assert fault in str(refusal.value)


def test_an_absent_list_is_refused(tmp_path):
    with pytest.raises(BadInput, match="absent"):
        read_aspects(tmp_path / "absent.toml")
