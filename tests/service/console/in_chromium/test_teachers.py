"""What is shown with each teacher, and without."""

import pytest
from playwright.sync_api import expect

from relevance.chain_of_thought import render
from tests.service.chat_server import PIECE, THOUGHT, Manner, chat_server
from tests.service.console.browser import watched
from tests.service.console.in_chromium.addresses import base_of, of_pair
from tests.service.live_service import free_port

pytestmark = [pytest.mark.slow, pytest.mark.network]


def test_without_a_teacher_the_students_part_is_all_there(browser, shop, pair) -> None:
    with shop.served() as service, watched(browser, base_of(service)) as console:
        console.go(of_pair(*pair))

        page = console.page
        expect(page.locator("main")).to_contain_text("There is no teacher.")
        assert page.locator(".contributions tbody tr").count() > 0
        assert page.locator(".heat td.path").count() > 0
        assert page.locator(".judge").count() == 1
        console.picture("teacher-down")
        console.go(f"#/query?q={pair[0]}".replace(" ", "+"))
        expect(page.locator("main")).to_contain_text("There is no teacher")


def test_what_a_language_model_writes_is_shown_while_it_is_written(browser, shop, pair) -> None:
    with (
        chat_server() as model,
        shop.served(llm_endpoint=model.url, llm_model="qwen", llm_timeout="180") as service,
        watched(browser, base_of(service)) as console,
    ):
        model.manner = Manner.DRIPPING
        page = console.page
        page.goto(f"{console.base}/console/{of_pair(*pair)}")

        expect(page.locator(".thought")).to_have_text(render(THOUGHT)[:PIECE])
        expect(page.locator(".contributions tbody tr").first).to_be_visible()
        model.let_go.set()
        expect(page.locator(".findings tbody tr")).to_have_count(len(THOUGHT.findings))
        assert page.locator(".thought").text_content() == render(THOUGHT)
        expect(page.locator("main")).to_contain_text("The LLM answered.")

        asked = len(model.bodies)
        console.go(f"#/query?q={pair[0]}&k=10".replace(" ", "+"))
        assert len(model.bodies) == asked  # a model costs: rows are judged when told to
        page.get_by_role("button", name="Ask the teacher").click()
        expect(page.locator(".ranks tbody tr").last).not_to_contain_text("…")


def test_a_language_model_that_is_down_leaves_the_catalogue_teacher(browser, shop, pair) -> None:
    nobody = f"http://127.0.0.1:{free_port()}/v1"
    with (
        shop.served(teacher=str(shop.teacher), llm_endpoint=nobody, llm_model="qwen") as service,
        watched(browser, base_of(service)) as console,
    ):
        console.go(of_pair(*pair))

        main = console.page.locator("main")
        expect(main).to_contain_text("The LLM is not there. The catalogue teacher answered.")
        assert console.page.locator(".findings tbody tr").count() > 0
        assert console.page.locator(".judge").count() == 2
        console.picture("language-model-down")
