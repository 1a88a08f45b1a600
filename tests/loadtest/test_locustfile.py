import subprocess
import sys


def test_locust_finds_the_users_and_shows_the_options_of_the_mixture() -> None:
    command = [sys.executable, "-m", "locust", "-f", "loadtest/locustfile.py"]

    listed = subprocess.run([*command, "--list"], capture_output=True, text=True, check=True)

    assert "Shopper" in listed.stdout


# locust patches sockets and threads of the process that imports it, so these run in their own
CHECKS = """
import json
from types import SimpleNamespace
from loadtest.locustfile import is_complete, mixture_of
from loadtest.open_loop import Request
from relevance.errors import BadInput

options = SimpleNamespace(kinds="score 100,search", hit_rate=0.5, missing=0.1)
mixture = mixture_of(options)
assert [kind.name for kind in mixture.kinds] == ["score 100", "search"]
assert (mixture.hit_rate, mixture.missing) == (0.5, 0.1)
assert mixture_of(SimpleNamespace(kinds="", hit_rate=-1.0, missing=0.0)).hit_rate is None
try:
    mixture_of(SimpleNamespace(kinds="", hit_rate=2.0, missing=0.0))
except BadInput as fault:
    assert "expected shares up to 1" in str(fault)
else:
    raise AssertionError("a share of 2 was taken")

asked = Request("/score", json.dumps({"query": "q", "item_ids": ["a", "b"]}).encode())
assert is_complete(asked, json.dumps({"results": [1, 2]}).encode())
assert not is_complete(asked, json.dumps({"results": [1]}).encode())
assert is_complete(Request("/explain", b"{}"), b"{}")
"""


def test_users_ask_what_the_options_say_and_notice_a_reply_that_lacks_an_item() -> None:
    subprocess.run([sys.executable, "-c", CHECKS], check=True)
