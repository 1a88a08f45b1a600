#!/bin/sh
# Install this source tree and what a lock names into a new environment that has no pip of its own.
# The build stages of the Dockerfiles run it; a test runs it in a clean directory.
#
#   deploy/install.sh LOCK TARGET      LOCK: a file of deploy/locks without .txt
#   PYTHON=python3                     what makes the environment
#   TORCH_INDEX=URL                    a further index, for the CPU build of torch
#
# Every file is held to its hash; the project itself is built with the locked setuptools.
set -eu
lock=deploy/locks/$1.txt target=$2
test -f "$lock" || { echo "install.sh: no $lock" >&2; exit 2; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"${PYTHON:-python3}" -m venv "$work/build"
pip="$work/build/bin/python -m pip --quiet --disable-pip-version-check --no-input"
$pip install --require-hashes -r deploy/locks/build.txt
$pip wheel --no-deps --no-build-isolation --wheel-dir "$work" .

"${PYTHON:-python3}" -m venv --without-pip "$target"
# shellcheck disable=SC2086 # an index that is not wanted leaves no argument
$pip --python "$target/bin/python" install --no-compile --require-hashes --only-binary :all: \
    ${TORCH_INDEX:+--extra-index-url $TORCH_INDEX} -r "$lock"
$pip --python "$target/bin/python" install --no-compile --no-deps --no-index "$work"/ellm_mkd-*.whl
