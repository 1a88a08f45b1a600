#!/bin/sh
# Write deploy/locks/*.txt anew: every package of an image with its version and hashes.
# The versions are those of constraints.txt; run it after changing either that or pyproject.toml.
# Left out: vLLM, whose own image is used. Needs uv (`pip install uv`).
#
#   deploy/lock.sh [NAME...]      NAME: a lock of the table below; all of them by default
#   TORCH_LINKS=…                 where the CPU build of torch is found: a page of links or a folder
set -eu
cd "$(dirname "$0")/.."
UV=${UV:-uv}
TORCH=2.13.0
TORCH_LINKS=${TORCH_LINKS:-https://download.pytorch.org/whl/cpu/torch/}

resolve() { # resolve NAME PYTHON [uv's options]: stdin has further constraints
    name=$1 python=$2
    shift 2
    "$UV" pip compile --quiet --generate-hashes --no-header --no-annotate --no-emit-find-links \
        --python-version "$python" --python-platform x86_64-manylinux_2_28 \
        --constraint constraints.txt --constraint - "$@" --output-file "deploy/locks/$name.txt"
    echo "deploy/locks/$name.txt"
}

lock() {
    case $1 in
    build) echo 'setuptools>=77' | "$UV" pip compile --quiet --generate-hashes --no-header \
        --no-annotate --python-version 3.11 - --output-file deploy/locks/build.txt ;;
    service) resolve service 3.11 pyproject.toml --extra service --extra tracing </dev/null ;;
    service-cuda) # Ubuntu 24.04, the base of NVIDIA's CUDA 13 images, has Python 3.12
        resolve service-cuda 3.12 pyproject.toml --extra service-gpu --extra tracing </dev/null ;;
    teacher) resolve teacher 3.11 pyproject.toml --extra teacher </dev/null ;;
    trainer) echo "torch==$TORCH+cpu" | resolve trainer 3.11 pyproject.toml \
        --extra trainer --extra exporter --find-links "$TORCH_LINKS" ;;
    trainer-cuda) echo "torch==$TORCH" | resolve trainer-cuda 3.11 pyproject.toml \
        --extra trainer --extra exporter ;;
    *) echo "unknown lock $1; known: build service service-cuda teacher trainer trainer-cuda" >&2
       exit 2 ;;
    esac
}

test $# -gt 0 || set -- build service service-cuda teacher trainer trainer-cuda
for name; do
    lock "$name"
done
