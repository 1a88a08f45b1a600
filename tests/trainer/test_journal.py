"""What a training notes down: nothing by default, TensorBoard's own files where asked."""

import pytest

from trainer.journal import Notebook, Silence, tensorboard


def test_without_a_folder_there_is_silence():
    with tensorboard(None) as journal:
        assert isinstance(journal, Silence)
        journal.note(1, {"train/label": 0.5})


def test_the_notebook_keeps_what_it_was_told():
    notebook = Notebook()

    notebook.note(3, {"train/label": 0.5})

    assert notebook.pages == [(3, {"train/label": 0.5})]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of TensorBoard's own dependencies
def test_tensorboard_reads_back_what_was_noted(tmp_path):
    with tensorboard(tmp_path / "log") as journal:
        journal.note(1, {"train/label": 0.5, "train/score": 2.0})
        journal.note(2, {"train/label": 0.25})

    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    read = EventAccumulator(str(tmp_path / "log"))
    read.Reload()
    assert [(event.step, event.value) for event in read.Scalars("train/label")] == [
        (1, 0.5),
        (2, 0.25),
    ]
    assert sorted(read.Tags()["scalars"]) == ["train/label", "train/score"]
