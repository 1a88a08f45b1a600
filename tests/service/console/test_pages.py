"""The pages' files: nothing inline, nothing from elsewhere, every text in both languages."""

import re
import tomllib
from pathlib import Path

import pytest

from service.console.pages import PAGE, pages
from tests.service.console.make_console import console

TEXT_OF = re.compile(r"\b(?:t|known)\(\s*\"(\w+)\"")
KEY = re.compile(r"^  (\w+): ", re.MULTILINE)
SLOT = re.compile(r"\{(\w+)\}")


def file(name: str) -> str:
    return pages()[name].content.decode()


def table(name: str) -> dict[str, str]:
    return dict(re.findall(r"^  (\w+): (\".*\"),$", file(name), re.MULTILINE))


def scripts() -> list[str]:
    return [name for name in pages() if name.endswith(".js")]


def test_nothing_but_the_pages_own_scripts_and_styles_may_run(client) -> None:
    for path in ("/console/", *(f"/console/static/{name}" for name in pages())):
        policy = client.get(path).headers["content-security-policy"]
        directives = dict(one.strip().partition(" ")[::2] for one in policy.split(";"))

        assert directives["default-src"] == "'none'"
        assert directives["script-src"] == directives["style-src"] == "'self'"
        assert directives["connect-src"] == "'self'"
        assert directives["frame-ancestors"] == directives["base-uri"] == "'none'"
        assert directives["require-trusted-types-for"] == "'script'"


def test_the_page_has_no_inline_script_style_or_listener() -> None:
    page = file(PAGE)

    assert re.findall(r"<script(?![^>]* src=)", page) == []
    assert re.findall(r"<style|\sstyle=|\son\w+=|javascript:", page) == []


@pytest.mark.parametrize("name", sorted(pages()))
def test_no_file_names_another_host(name) -> None:
    text = file(name).replace("http://www.w3.org/2000/svg", "")

    assert re.findall(r"https?://|@import|url\(", text) == []


@pytest.mark.parametrize("name", sorted(scripts()))
def test_no_script_makes_markup_or_code_out_of_text(name) -> None:
    risky = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function"

    assert re.findall(risky, file(name)) == []


def test_both_languages_have_the_same_texts_with_the_same_slots() -> None:
    english, chinese = table("english.js"), table("chinese.js")

    assert list(english) == list(chinese)
    assert (
        len(english) == len(KEY.findall(file("english.js"))) == len(KEY.findall(file("chinese.js")))
    )
    slots = {key: sorted(SLOT.findall(text)) for key, text in english.items()}
    assert slots == {key: sorted(SLOT.findall(text)) for key, text in chinese.items()}


def test_every_text_that_is_asked_for_is_there_and_none_lies_idle() -> None:
    known = set(table("english.js"))
    code = {name: file(name) for name in scripts() if name not in ("english.js", "chinese.js")}
    asked = {key for text in code.values() for key in TEXT_OF.findall(text)}

    assert asked <= known
    words = {
        word for text in code.values() for word in re.findall(r"\"(\w+)\"|(\w+):|`(\w+)\$", text)
    }
    named = {one for word in words for one in word if one}
    built = re.compile(
        r"(state|origin|stage_|status_|kind_)\w+"
    )  # put together from words on the wire
    assert {key for key in known - named if not built.fullmatch(key)} == set()


def test_every_script_is_asked_for_with_the_page_and_not_one_after_the_other() -> None:
    preloaded = re.findall(r"modulepreload\" href=\"static/([\w.]+)\"", file(PAGE))
    imported = {
        name for script in scripts() for name in re.findall(r"from \"\./([\w.]+)\"", file(script))
    }

    assert sorted(preloaded) == sorted(scripts())
    assert imported | {"main.js"} == set(scripts())


def test_every_file_is_packaged() -> None:
    settings = tomllib.loads(Path("pyproject.toml").read_text())["tool"]["setuptools"]
    patterns = settings["package-data"]["*"]

    assert {f"*{Path(name).suffix}" for name in pages()} <= set(patterns)


def test_a_file_is_sent_again_only_when_it_changed(client) -> None:
    first = client.get("/console/static/main.js")
    again = client.get("/console/static/main.js", headers={"if-none-match": first.headers["etag"]})

    assert first.headers["content-type"] == "text/javascript; charset=utf-8"
    assert (again.status_code, again.content) == (304, b"")


def test_only_files_of_the_console_are_sent(client) -> None:
    names = ("nothing.js", "..%2Fwire.py", "%2e%2e%2f%2e%2e%2fapp.py", "__init__.py")

    assert {client.get(f"/console/static/{name}").status_code for name in names} == {404}


def test_the_page_is_found_without_its_slash_too(client) -> None:
    answer = client.get("/console", follow_redirects=False)

    assert (answer.status_code, answer.headers["location"]) == (308, "console/")


def test_the_page_tells_nothing_and_so_needs_no_key(store_folder) -> None:
    with console(store_folder) as client:
        client.headers["x-forwarded-for"] = "10.1.2.3"  # passed on: nobody is local

        assert client.get("/console/").status_code == 200
        assert client.get("/console/static/main.js").status_code == 200
        assert client.get("/console/api/info").status_code == 401
