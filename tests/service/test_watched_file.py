"""A followed file is due when it is another one, and after a failure once more."""

from pathlib import Path

from service.watched_file import TRY_AGAIN, WatchedFile


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def replace(path: Path, text: str) -> None:
    """As writers do it: never in place."""
    fresh = path.with_suffix(".new")
    fresh.write_text(text)
    fresh.rename(path)


def test_it_is_due_once_for_each_file_that_takes_the_place(tmp_path) -> None:
    path = tmp_path / "file"
    replace(path, "one")
    file = WatchedFile(path)
    assert [file.look(), file.look()] == [True, False]

    replace(path, "two")
    assert [file.look(), file.look()] == [True, False]

    path.unlink()
    assert [file.look(), file.look()] == [True, False]


def test_what_failed_is_due_again_after_a_while_until_it_succeeds(tmp_path) -> None:
    clock = Clock()
    file = WatchedFile(tmp_path / "absent", clock=clock)
    file.look()
    file.failed()
    assert not file.look()

    clock.now = TRY_AGAIN + 1
    assert [file.look(), file.look()] == [True, True]

    file.succeeded()
    assert not file.look()
