"""Refuses an environment where two distributions own the module `onnxruntime`, or `faiss`.

pip installs both without a word, and which one answers depends on their order.
"""

from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version

from relevance.errors import Unavailable

RIVALS = (("onnxruntime", "onnxruntime-gpu"), ("faiss-cpu", "faiss-gpu"))


def is_installed(distribution: str) -> bool:
    """Whether a distribution is installed here."""
    try:
        version(distribution)
    except PackageNotFoundError:
        return False
    return True


def check_runtimes(installed: Callable[[str], bool] = is_installed) -> None:
    """Raise `Unavailable` with the repair command where both runtimes are installed."""
    for rivals in RIVALS:
        if all(installed(distribution) for distribution in rivals):
            names = " ".join(rivals)
            raise Unavailable(
                f"expected one of {names}, got both: they overwrite each other's files\n"
                f"hint: pip uninstall -y {names} && pip install 'ellm-mkd[service]'"
                "   (or [service-gpu])"
            )
