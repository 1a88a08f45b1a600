# The two commands of the README are `make demo` and `make test`; `make help` lists all.

VENV ?= .venv
PYTHON ?= python3
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
ELLM := $(BIN)/ellm
TORCH := 2.13.0
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu
RUN_EXTRAS := service,teacher,trainer,exporter
ALL_EXTRAS := $(RUN_EXTRAS),tracing,loadtest,dev
# A waiting OpenMP thread that spins starves whatever else runs on a small machine.
export OMP_WAIT_POLICY ?= PASSIVE

.DEFAULT_GOAL := help
.PHONY: help demo serve test test-all check format clean

help: ## list the commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

demo: $(VENV)/.run-installed ## the main job end to end; DATA=prefix for your own data
	$(ELLM) demo $(if $(DATA),--data $(DATA)) $(OPTIONS)

serve: $(VENV)/.run-installed ## serve the latest demo's bundle on 127.0.0.1:8080
	$(ELLM) serve --store build/demo/latest/store --teacher build/demo/latest/teacher

test: check ## style, types, layers, then the fast tests
	$(BIN)/python -m pytest -n auto --dist loadfile

test-all: check ## every test; Debian's packages in deploy/test-packages.txt must be there
	$(BIN)/python -m pytest -m "slow or network"

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
