from pathlib import Path

import pytest

from relevance.domain import Item
from relevance.errors import BadInput
from service.deadline import Deadline
from service.settings import Settings
from service.teachers import read_explanations
from tests.service.chat_server import THOUGHT, chat_server
from tests.teacher.make_teacher import written_judge

ITEM = Item("B001", "Norvane Water Bottle, Red", brand="Norvane", color="Red")


@pytest.fixture(scope="module")
def catalogue_teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written_judge(tmp_path_factory.mktemp("teacher"))


def settings(**given) -> Settings:
    return Settings(store=Path("store"), **given)


def test_without_settings_there_is_no_teacher() -> None:
    assert len(read_explanations(settings())) == 0


def test_the_language_model_is_asked_before_the_catalogue_teacher(catalogue_teacher) -> None:
    with chat_server() as server:
        explanations = read_explanations(
            settings(
                llm_endpoint=server.url,
                llm_model="qwen",
                llm_api_key="k",
                teacher=catalogue_teacher,
            )
        )
        first = explanations.ask("blue bottle", ITEM, Deadline())
        explanations.close()

    assert len(explanations) == 2
    assert first.opinion is not None
    assert (first.opinion.judge, first.opinion.chain_of_thought) == ("llm:qwen", THOUGHT)
    assert server.keys[0] == "Bearer k"


def test_where_the_language_model_is_down_the_catalogue_teacher_answers(catalogue_teacher) -> None:
    explanations = read_explanations(
        settings(llm_endpoint="http://127.0.0.1:9", llm_model="qwen", teacher=catalogue_teacher)
    )

    reasons = explanations.ask("red bottle", ITEM, Deadline())
    explanations.close()

    assert reasons.opinion is not None
    assert [(one.origin, one.state) for one in reasons.tried] == [
        ("llm", "unavailable"),
        ("catalogue", "ok"),
    ]
    assert reasons.opinion.judge == "catalogue"


def test_the_settings_shape_the_prompt() -> None:
    with chat_server() as server:
        explanations = read_explanations(
            settings(
                llm_endpoint=server.url,
                llm_model="qwen",
                llm_structured=False,
                llm_prompt="tuned",
                llm_language="chinese",
                llm_reads="title",
                llm_max_tokens=99,
            )
        )
        explanations.ask("红色水杯", ITEM, Deadline())
        explanations.close()
        [body] = server.bodies

    system, asked = (message["content"] for message in body["messages"])
    assert len(body["messages"]) == 2
    assert "判断" in system
    assert ITEM.brand not in asked.replace(ITEM.title, "")
    assert body["max_tokens"] == 99


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"llm_endpoint": "http://x/v1"}, "llm_endpoint: expected llm_model"),
        ({"llm_model": "qwen"}, "llm_model: expected llm_endpoint beside it"),
        ({"llm_endpoint": "gpu:8000", "llm_model": "qwen"}, "expected http://host:port/v1"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(given, said) -> None:
    with pytest.raises(BadInput, match=said):
        read_explanations(settings(**given))
