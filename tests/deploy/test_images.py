"""What the Dockerfiles of CPU images install, in a clean directory; then the service out of it.

There is no container engine here: the steps that Docker would run are read out of the file and run
as a script in an environment that has nothing of ours. Of the CUDA images only the locks are
resolved: every file exists, fits the platform and has its hash.
"""

import ast
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from relevance.generation import StorePaths, read_current
from service.refresh.refresh import refresh
from tests.deploy.rendered import environment
from tests.service.live_service import HOST, PATIENCE, eventually, free_port
from tests.service.make_bundle import make_bundle

pytestmark = [pytest.mark.slow, pytest.mark.network]  # a package index, minutes of installing

TARGET = "/opt/relevance"
UV = Path(sys.executable).parent / "uv"
IMAGES = {  # image: modules that must be there, and modules that must not
    "service": (
        ("onnxruntime", "faiss", "fastapi", "opentelemetry.sdk"),
        ("torch", "pip", "pytest"),
    ),
    "teacher": (("lightgbm", "sklearn", "rapidfuzz"), ("torch", "onnxruntime", "pip")),
    "trainer": (("torch", "transformers", "onnx", "onnxruntime"), ("pip", "fastapi")),
}


class Image:
    """An installed tree and what its Dockerfile says around it."""

    def __init__(self, name: str, root: Path) -> None:
        self.text = Path(f"deploy/{name}.Dockerfile").read_text().replace("\\\n", " ")
        self.source, self.tree = root / "source", root / "tree"
        self._copy()
        self._install()

    def instruction(self, word: str) -> str:
        """What follows the last instruction of this name."""
        return re.findall(rf"^{word} (.+)$", self.text, flags=re.M)[-1]

    def environment(self) -> dict[str, str]:
        """ENV of the final stage."""
        pairs = (word.partition("=") for word in shlex.split(self.instruction("ENV")))
        told = {name: value.replace(TARGET, str(self.tree)) for name, _, value in pairs}
        return told | {"PATH": told["PATH"].replace("$PATH", os.defpath)}

    def runs(self, *words: str) -> subprocess.CompletedProcess[str]:
        """One of the image's programs, with the image's variables alone."""
        return subprocess.run(words, env=self.environment(), capture_output=True, text=True)

    def _copy(self) -> None:
        for line in re.findall(r"^COPY (?!--from)(.+)$", self.text, flags=re.M):
            *sources, into = line.split()
            for source in sources:
                place = self.source / into / (Path(source).name if into.endswith("/") else "")
                place.parent.mkdir(parents=True, exist_ok=True)
                if Path(source).is_dir():
                    shutil.copytree(source, place, ignore=shutil.ignore_patterns("__pycache__"))
                else:
                    shutil.copy(source, place)

    def _install(self) -> None:
        (step,) = re.findall(r"^RUN (.*deploy/install\.sh .+)$", self.text, flags=re.M)
        stages = self.text.partition("\nFROM ")[2]  # an ARG before it is for FROM alone
        arguments = {
            name: default.strip('"')
            for name, default in re.findall(r"^ARG (\w+)=(\S*)", stages, flags=re.M)
        }
        told = {
            name: value
            for name, value in os.environ.items()
            if name in ("PATH", "HOME", "TMPDIR") or name.startswith(("PIP_", "SSL_"))
        }
        told |= {"PYTHON": sys.executable} | arguments
        told["TORCH_INDEX"] = os.environ.get("TORCH_INDEX", "")  # the configured index may have it
        done = subprocess.run(
            ["sh", "-euc", step.replace(TARGET, str(self.tree))],
            cwd=self.source,
            env=told,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module", params=IMAGES)
def image(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Image]:
    root = tmp_path_factory.mktemp(f"image-{request.param}")
    made = Image(request.param, root)
    yield made
    shutil.rmtree(root)


def test_an_image_has_what_it_is_for_and_nothing_more(
    image: Image, request: pytest.FixtureRequest
) -> None:
    """Modules it must have import; torch, pip and test tools are only where they belong."""
    having, lacking = IMAGES[request.node.callspec.params["image"]]
    program = "\n".join(
        [
            f"import importlib.util, {', '.join(having)}",
            f"wrong = [name for name in {lacking} if importlib.util.find_spec(name)]",
            "raise SystemExit(str(wrong) if wrong else 0)",
        ]
    )

    done = image.runs(str(image.tree / "bin/python"), "-W", "ignore", "-c", program)

    assert done.returncode == 0, done.stderr


def test_an_images_command_starts(image: Image) -> None:
    """ENTRYPOINT with `--help` of CMD's first word, found by the image's PATH."""
    entry = ast.literal_eval(image.instruction("ENTRYPOINT"))
    first = ast.literal_eval(image.instruction("CMD"))[0]

    done = image.runs(str(image.tree / "bin" / entry[0]), first, "--help")

    assert done.returncode == 0, done.stderr
    assert "Usage: ellm" in done.stdout


@contextmanager
def started(image: Image, told: dict[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    entry = ast.literal_eval(image.instruction("ENTRYPOINT"))
    words = [str(image.tree / "bin" / entry[0]), *ast.literal_eval(image.instruction("CMD"))]
    with log.open("wb") as output:
        process = subprocess.Popen(words, env=image.environment() | told, stderr=output)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(PATIENCE)


def test_the_service_starts_from_its_image_as_the_manifests_tell_it_and_answers(
    image: Image, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """Dockerfile's ENV under the cluster's settings; only places and the port are this test's."""
    if request.node.callspec.params["image"] != "service":
        assert "HEALTHCHECK NONE" in image.text  # a job has no port to ask
        return
    make_bundle(tmp_path / "bundle")
    (tmp_path / "items.csv").write_text("item_id,title\na,oak desk\nb,red lamp\n")
    refresh(
        bundle=tmp_path / "bundle",
        items=tmp_path / "items.csv",
        store=tmp_path / "store",
        workers=1,
    )
    made = image.runs(
        *[
            str(image.tree / "bin/ellm"),
            "keys",
            "new",
            "--file",
            str(tmp_path / "keys.toml"),
            "--name",
            "shop",
        ]
    )
    assert made.returncode == 0, made.stderr
    key = next(word for word in made.stdout.split() if len(word) > 30)
    port = free_port()
    told = environment("cpu", "relevance") | {"ELLM_LOG_HASH_KEY": "from the secret"}
    places = {
        "ELLM_STORE": str(tmp_path / "store"),
        "ELLM_API_KEYS": str(tmp_path / "keys.toml"),
        "ELLM_TEACHER": "",  # the small shop here has none
        "ELLM_PORT": str(port),
        "ELLM_DRAIN_DELAY": "0",
    }
    assert set(places) <= set(told), "the manifests tell all of these"
    body = {"query": "red lamp", "item_ids": ["a", "b"]}

    with started(image, told | places, tmp_path / "log"):
        eventually(lambda: httpx.get(f"http://{HOST}:{port}/readyz").status_code == 200)
        refused = httpx.post(f"http://{HOST}:{port}/score", json=body)
        answered = httpx.post(
            f"http://{HOST}:{port}/score", json=body, headers={"authorization": f"Bearer {key}"}
        )
        check = ast.literal_eval(image.instruction("HEALTHCHECK").partition("CMD")[2].strip())
        health = subprocess.run(
            [str(image.tree / "bin" / check[0]), *check[1:]],
            env=image.environment() | {"ELLM_PORT": str(port)},
            capture_output=True,
            text=True,
        )

    assert refused.status_code == 401
    assert answered.status_code == 200
    assert [row["id"] for row in answered.json()["results"]] == ["b", "a"]
    assert answered.json()["generation"] == read_current(StorePaths(tmp_path / "store")).generation
    assert health.returncode == 0, health.stderr


@pytest.mark.parametrize(("lock", "python"), [("service-cuda", "3.12"), ("trainer-cuda", "3.11")])
def test_the_locks_of_cuda_images_resolve(lock: str, python: str, tmp_path: Path) -> None:
    """Dependency resolution alone: nothing is downloaded but descriptions, nothing installed."""
    words = [str(UV), "pip", "install", "--dry-run", "--require-hashes", "--only-binary", ":all:"]
    words += ["--python-platform", "x86_64-manylinux_2_28", "--python-version", python]
    words += ["--target", str(tmp_path), "-r", f"deploy/locks/{lock}.txt"]

    done = subprocess.run(words, capture_output=True, text=True)

    assert done.returncode == 0, done.stderr
    assert re.search(r"Would install \d+ packages", done.stderr)
