# Every target sets up what it needs. `make help` lists them.
SHELL := /bin/bash
PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3)
BIN := .venv/bin
STAMP := .venv/.installed
PIP_FLAGS ?=
PYTEST_FLAGS ?= -n 2
DEVNET_FLAGS ?= --validators 4 --trainers 8 --rounds 5 --attack backdoor:3 --seed 7
DEVNET_HOME ?= .devnet
SIM_FLAGS ?= --profile all --seeds 0..1999 --jobs 2
FUZZ_FLAGS ?= --seconds 60 --mutations 100000
CHAOS_FLAGS ?= --kills 200 --loss 30
MUTANTS_FLAGS ?= --jobs 2
EXPERIMENTS_FLAGS ?= --seeds 5 --jobs 2
EXPERIMENTS_OUT ?= .experiments
BENCH_FLAGS ?= --rates 100,700,1500

export OMP_NUM_THREADS ?= 1
export TOKENIZERS_PARALLELISM ?= false

.DEFAULT_GOAL := help
.PHONY: help install devnet test check format bench experiments chaos fuzz sim sim-crashes mutants constraints clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(STAMP)  ## build .venv with everything for development

# torch is named in the same command as peft: peft alone would pull in a build of torch with several GB of CUDA.
$(STAMP): pyproject.toml constraints.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -qq $(PIP_FLAGS) -c constraints.txt "torch==2.13.0" -e ".[ml,dev]"
	@touch $(STAMP)

devnet: $(STAMP)  ## four validators, eight trainers (three plant a backdoor), five rounds, on this machine
	$(BIN)/flockchain devnet up $(DEVNET_FLAGS) --home $(DEVNET_HOME) --report $(DEVNET_HOME)/report.json --force

test: $(STAMP)  ## run every test
	$(BIN)/python -m pytest $(PYTEST_FLAGS)

check: $(STAMP)  ## formatting, lint, types, floors
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	PYTHONPATH=.:ml $(BIN)/lint-imports

format: $(STAMP)  ## let ruff rewrite what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(STAMP)  ## measure transfers, finality and the start; write docs/results
	$(BIN)/python -m tools.bench.transfers $(BENCH_FLAGS) --out docs/results/transfers.json
	$(BIN)/python -m tools.bench.startup --out docs/results/startup.json
	$(BIN)/python -m tools.bench.wan --out docs/results/wan.json
	$(BIN)/python -m tools.bench.sync --out docs/results/sync.json
	$(BIN)/python -m tools.bench.training --out docs/results/training.json
	$(BIN)/python -m tools.bench.aggregation --out docs/results/aggregation.json

experiments: $(STAMP)  ## every experiment over five seeds, many hours; goes on from .experiments; tables.md is there
	$(BIN)/python -m flockchain_ml.experiments run all $(EXPERIMENTS_FLAGS) --out $(EXPERIMENTS_OUT)

sim: $(STAMP)  ## two thousand seeded networks with every kind of fault, checked
	$(BIN)/flockchain sim run $(SIM_FLAGS)

sim-crashes: $(STAMP)  ## stop one of four nodes at every effect of eight views and in every write; `make test` tries a third
	FLOCKCHAIN_ALL_CRASHES=1 $(BIN)/python -m pytest $(PYTEST_FLAGS) -s tests/scenarios/test_crash_points.py

fuzz: $(STAMP)  ## mutate and fuzz every door that bytes come to, a minute each; goes on from .fuzz
	-$(BIN)/python -m pip install -qq $(PIP_FLAGS) "atheris==3.0.0"
	PYTHONPATH=.:ml $(BIN)/python -m tools.fuzz.campaign $(FUZZ_FLAGS)

chaos: $(STAMP)  ## real validators under lost packets, partitions and kill -9; writes docs/results (15 minutes)
	$(BIN)/python -m tools.chaos.run $(CHAOS_FLAGS) --out docs/results/chaos.json

mutants: $(STAMP)  ## break every rule of the protocol, one at a time, until the simulator notices
	$(BIN)/python -m tests.mutants $(MUTANTS_FLAGS)

constraints: $(STAMP)  ## write constraints.txt from .venv
	@{ echo "# Exact versions that are known to work together on CPython 3.11. Used by \`make install\`; written by \`make constraints\`."; \
	  $(BIN)/python -m pip freeze --exclude-editable | grep -v ' @ ' | sed -E 's/^([A-Za-z0-9_.-]+==[^+]+)\+.*/\1/'; } > constraints.txt.new
	@mv constraints.txt.new constraints.txt

clean:  ## remove what was built and run, but not .venv
	rm -rf build dist .devnet .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache *.egg-info
	find . -name __pycache__ -type d -not -path './.venv/*' -prune -exec rm -rf {} +
