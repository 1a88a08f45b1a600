from pathlib import Path

import pytest

from loadtest.docs_page import renew
from relevance.errors import BadInput

PAGE = """# Fast
<!-- measured: peers -->
old
<!-- end -->
![curve](plots/capacity.svg)
<!-- measured: soak -->
kept
<!-- end -->
after
"""


def test_measured_tables_and_plots_come_into_the_page_and_the_rest_stays(tmp_path: Path) -> None:
    page, bench = tmp_path / "page.md", tmp_path / "bench"
    page.write_text(PAGE)
    (bench / "scaling").mkdir(parents=True)
    (bench / "peers.md").write_text("| new |\n\n`ellm bench peers`; today\n")
    (bench / "scaling" / "capacity.svg").write_text("<svg/>")

    parts, stayed = renew(page, bench, tmp_path / "plots")

    assert (parts, stayed) == (["peers"], ["soak"])
    text = page.read_text()
    assert "| new |\n\n`ellm bench peers`; today" in text
    assert "old" not in text
    assert "kept" in text
    assert text.endswith("after\n")
    assert (tmp_path / "plots" / "capacity.svg").read_text() == "<svg/>"
    renew(page, bench, tmp_path / "plots")
    assert page.read_text() == text


def test_a_page_without_marks_is_refused(tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text("# Nothing\n")

    with pytest.raises(BadInput, match="expected a part between"):
        renew(tmp_path / "page.md", tmp_path, tmp_path / "plots")
