"""Where things are shown."""

from tests.service.live_service import LiveService


def base_of(service: LiveService) -> str:
    return f"http://127.0.0.1:{service.port}"


def of_pair(query: str, item_id: str) -> str:
    return f"#/pair?q={query}&id={item_id}".replace(" ", "+")
