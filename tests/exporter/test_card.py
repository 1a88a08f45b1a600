"""A bundle's card says what its manifest says, in columns and as Markdown."""

from typer.testing import CliRunner

from exporter.card import as_markdown, as_text
from exporter.commands import app


def test_both_forms_name_what_a_reader_looks_for(exported):
    manifest = exported.manifest
    for page in (as_text(manifest), as_markdown(manifest)):
        for wanted in (
            manifest.bundle_id,
            "human labels of other queries",
            "roc auc",
            "kendall tau mean",
            "encoder.onnx",
            manifest.files["encoder.onnx"].sha256,
            "version of torch",
            "backbone",
            "not stated",
        ):
            assert wanted in page, wanted


def test_a_bundle_without_human_labels_is_marked(exported):
    manifest = exported.manifest.model_copy(
        update={"calibration": "teacher", "metrics": {}, "thresholds": ()}
    )

    page = as_text(manifest)

    assert "teacher-calibrated: no human label confirmed" in page
    assert "Thresholds" not in page
    assert "Measures" not in page


def test_markdown_tables_are_whole_whatever_the_values_hold(exported):
    manifest = exported.manifest.model_copy(update={"source": {"data": "a|b\nc"}})

    lines = as_markdown(manifest).splitlines()

    assert "| data | a\\|b c |" in lines
    for line in lines:
        assert not line.startswith("|") or line.endswith("|")


def test_the_command_prints_either(exported):
    def said(*words: str) -> str:
        return CliRunner().invoke(app, ["inspect", str(exported.folder), *words]).output

    assert said() == as_text(exported.manifest)
    assert said("--markdown") == as_markdown(exported.manifest)
    assert CliRunner().invoke(app, ["--fold", "0"]).exit_code == 2
