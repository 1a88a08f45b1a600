from datetime import date
from pathlib import Path

import pytest
from typer.testing import CliRunner

from relevance.errors import BadInput
from service.api_keys import KeyRing, Scope, find_key, make_key, read_keys, write_keys
from service.key_commands import app

TODAY = date(2026, 5, 1)


def test_a_key_is_found_by_its_secret_and_kept_without_it(tmp_path) -> None:
    file = tmp_path / "keys.toml"
    shop, other = make_key("shop", [Scope.SCORE]), make_key("other", [Scope.METRICS])

    write_keys(file, [shop.kept, other.kept])

    assert read_keys(file) == (shop.kept, other.kept)
    assert find_key(read_keys(file), shop.secret) == shop.kept
    assert find_key(read_keys(file), shop.secret + "x") is None
    assert shop.secret not in file.read_text()


@pytest.mark.parametrize(
    ("scopes", "expires", "asked", "holds"),
    [
        ((Scope.SCORE,), None, Scope.SCORE, True),
        ((Scope.SCORE,), None, Scope.METRICS, False),
        ((Scope.SCORE,), None, Scope.ADMIN, False),
        ((Scope.ADMIN,), None, Scope.METRICS, True),
        ((Scope.SCORE,), date(2026, 5, 2), Scope.SCORE, True),
        ((Scope.SCORE,), TODAY, Scope.SCORE, False),
    ],
)
def test_a_key_holds_for_its_scopes_until_the_day_it_expires(scopes, expires, asked, holds) -> None:
    key = make_key("shop", scopes, expires=expires).kept

    assert key.allows(asked, today=TODAY) is holds


def test_a_changed_file_counts_at_once_and_a_broken_one_leaves_the_old_keys(tmp_path) -> None:
    file = tmp_path / "keys.toml"
    first, second = make_key("shop", [Scope.SCORE]), make_key("shop", [Scope.SCORE])
    write_keys(file, [first.kept])
    ring = KeyRing(file)

    write_keys(file, [first.kept, second.kept])
    ring.reload()
    assert ring.allowed(first.secret, Scope.SCORE) == (first.kept, True)
    assert ring.allowed(second.secret, Scope.SCORE) == (second.kept, True)

    file.write_text("[[key]]\nname = 'shop'\n")
    ring.reload()
    assert ring.fault is not None
    assert "sha256" in ring.fault
    assert ring.allowed(second.secret, Scope.SCORE) == (second.kept, True)

    write_keys(file, [second.kept])
    ring.reload()
    assert ring.fault is None
    assert ring.allowed(first.secret, Scope.SCORE) == (None, False)

    file.unlink()
    ring.reload()
    assert ring.fault is not None
    assert ring.keys == (second.kept,)


@pytest.mark.parametrize("content", ["", "# no key\n"])
def test_an_emptied_file_closes_the_door_and_does_not_open_it(tmp_path, content) -> None:
    """Whether its last key was revoked or another program is just writing it."""
    file = tmp_path / "keys.toml"
    key = make_key("shop", [Scope.SCORE])
    write_keys(file, [key.kept])
    ring = KeyRing(file)

    file.write_text(content)
    ring.reload()

    assert ring.allowed(key.secret, Scope.SCORE) == (None, False)
    assert ring.asks_for(Scope.SCORE)
    assert not ring.asks_for(Scope.METRICS)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("key = 1", "`key`"),
        ("[[key]]\nname = 'a b'\nsha256 = '" + "0" * 64 + "'", "`key.0.name`"),
        ("[[key]]\nname = 'a'\nsha256 = 'short'", "`key.0.sha256`"),
        ("[[keys]]", "`keys`: Extra inputs"),
        ("[[", "expected TOML"),
    ],
)
def test_a_wrong_key_file_is_refused_saying_where(tmp_path, content, message) -> None:
    file = tmp_path / "keys.toml"
    file.write_text(content)

    with pytest.raises(BadInput, match=message):
        KeyRing(file)


def test_the_commands_make_list_and_revoke_a_key(tmp_path) -> None:
    file = tmp_path / "keys.toml"

    def said(*words: str) -> str:
        done = CliRunner().invoke(app, [*words, "--file", str(file)], catch_exceptions=False)
        return done.output.strip()

    secret = said("new", "--name", "shop", "--scope", "score", "--expires", "2031-01-01")
    assert KeyRing(file).allowed(secret, Scope.SCORE)[1]
    listed = said("list")
    assert listed.startswith("shop")
    assert listed.endswith("expires 2031-01-01")
    assert secret not in listed

    assert said("revoke", listed.split()[1]) == "revoked shop"
    assert said("list") == ""


@pytest.mark.parametrize(
    "words",
    [
        ("new", "--name", "a b"),
        ("new", "--name", "a", "--scope", "everything"),
        ("new", "--name", "a", "--expires", "soon"),
    ],
)
def test_a_key_nobody_could_use_is_not_made(tmp_path, words) -> None:
    file = tmp_path / "keys.toml"

    with pytest.raises(BadInput):
        CliRunner().invoke(app, [*words, "--file", str(file)], catch_exceptions=False)

    assert not Path(file).exists()
