import subprocess
import sys


def test_locust_finds_the_users() -> None:
    listed = subprocess.run(
        [sys.executable, "-m", "locust", "-f", "loadtest/locustfile.py", "--list"],
        capture_output=True,
        text=True,
        check=True,
    )

    assert "Shopper" in listed.stdout
