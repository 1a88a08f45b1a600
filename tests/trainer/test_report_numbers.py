"""The report's sentences and numbers: what an interval allows to be said, and no more."""

import pytest

from tests.trainer.make_report import interval
from trainer.report_numbers import difference_sentence, gap_sentences, percent, points, reading


@pytest.mark.parametrize(
    ("interval", "expected"),
    [
        (interval(0.02, 0.01, 0.03), "is +2.0 points (95 % interval +1.0 to +3.0). The interval "
         "excludes 0: the MKD student is above the CE student."),
        (interval(-0.02, -0.03, -0.01), "excludes 0: the MKD student is below the CE student."),
        (interval(0.02, -0.01, 0.05), "The interval includes 0: this run does not show a"),
        (interval(0.02, float("nan"), float("nan")), "too few queries for an interval"),
        (interval(float("nan"), 0, 0), "The difference is undefined"),
    ],
)  # fmt: skip
def test_a_difference_says_whether_its_interval_excludes_0(interval, expected) -> None:
    said = difference_sentence("mkd_minus_ce", "ROC-AUC", interval)

    assert expected in " ".join(said.split())


def test_a_student_above_its_teacher_is_said_plainly() -> None:
    said = reading("teacher_minus_mkd", interval(-0.02, -0.03, -0.01))

    assert said == (
        "The interval excludes 0: the catalogue teacher is below the MKD student, its own student."
    )


@pytest.mark.parametrize(
    ("gain", "gap", "left", "expected"),
    [
        (
            0.02,
            interval(0.08, 0.05, 0.1),
            -0.1,
            "25.0 % of the teacher's lead over CE (+8.0 points) is",
        ),
        (0.1, interval(0.08, 0.05, 0.1), -0.1, "the student is measured above its teacher."),
        (0.1, interval(0.08, 0.05, 0.1), 0.1, "above its teacher, though the interval of that"),
        (
            -0.01,
            interval(0.08, 0.05, 0.1),
            0.1,
            "none of the teacher's lead over CE (+8.0 points) is closed, as the MKD",
        ),
        (0.02, interval(0.08, -0.01, 0.1), 0.1, "so the share means little"),
        (0.02, interval(-0.01, -0.1, 0.1), 0.1, "there is no lead to pass on"),
        (0.02, interval(float("nan"), 0, 0), 0.1, "the teacher's lead over CE is undefined"),
    ],
)
def test_the_closed_share_of_the_gap_is_honest(gain, gap, left, expected) -> None:
    differences = {
        "mkd_minus_ce": {"roc_auc": interval(gain, 0, 1), "neg_pr_auc": interval(gain, 0, 1)},
        "teacher_minus_ce": {"roc_auc": gap, "neg_pr_auc": gap},
        "teacher_minus_mkd": {
            "roc_auc": interval(gap["value"] - gain, -1, left),
            "neg_pr_auc": interval(gap["value"] - gain, -1, left),
        },
    }

    assert expected in gap_sentences(differences)[0].replace("\N{NO-BREAK SPACE}", " ")


def test_numbers_have_one_decimal_a_sign_and_a_dash_where_undefined() -> None:
    assert percent(0.7184) == "71.8\N{NO-BREAK SPACE}%"
    assert (points(0.0131), points(-0.0131), points(-0.0001)) == ("+1.3", "−1.3", "0.0")
    assert (percent(float("nan")), points(None)) == ("–", "–")
