# tickpath: every target makes .venv when missing and rebuilds what changed; nothing needs to be done before.
#   make run [SHORT=1]   paper trading on the recorded feed; SHORT=1 as fast as it goes
#   make run LIVE=1      live mode against the simulated venue, 20 s (SHORT=1: 8 s), then the venue's audit
#   make test            all tests but the soaks
#   make check           linters, the models of the shared-memory protocols, instructions per frame against the stored ones
#   make bench [PEERS=1] benchmarks, one JSON file each under var/bench
#   make soak            long runs, and the random comparisons with many more examples
#   make clean           everything that was built or recorded

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEPS := $(VENV)/.deps
BUILT := $(VENV)/.built
SOURCES := $(shell find ext -name '*.pyx' -o -name '*.pxd' -o -name '*.h' -o -name '*.hpp' -o -name '*.cc') setup.py pyproject.toml
VERSION = $(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])')

.PHONY: run test check bench soak clean build
.DEFAULT_GOAL := run

$(DEPS): pyproject.toml $(wildcard constraints/*.txt)
	@command -v $(PYTHON) >/dev/null || { echo "tickpath: python3 not found. Run: apt-get install python3 python3-venv python3-dev build-essential" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "tickpath: expected Python 3.11 or newer, found $(VERSION). Run: apt-get install python3" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "tickpath: the venv module is missing. Run: apt-get install python3-venv" >&2; exit 1; }
	@command -v $${CXX:-g++} >/dev/null || { echo "tickpath: no C++ compiler. Run: apt-get install build-essential" >&2; exit 1; }
	@$(PYTHON) -c 'import os, sys, sysconfig; sys.exit(not os.path.exists(os.path.join(sysconfig.get_paths()["include"], "Python.h")))' || { echo "tickpath: Python.h not found. Run: apt-get install python3-dev" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "tickpath: installing dependencies into $(VENV)"
	@c=constraints/py$(VERSION).txt; test -f $$c || c=/dev/null; \
	  $(BIN)/python -m pip install --disable-pip-version-check -q -c $$c --upgrade setuptools wheel && \
	  $(BIN)/python -c 'import tomllib; p = tomllib.load(open("pyproject.toml", "rb")); q = p["project"]; print("\n".join(p["build-system"]["requires"] + q["dependencies"] + q["optional-dependencies"]["dev"] + q["optional-dependencies"]["ccxt"] + q["optional-dependencies"]["research"]))' >$(VENV)/requirements.txt && \
	  $(BIN)/python -m pip install --disable-pip-version-check -q -c $$c -r $(VENV)/requirements.txt
	@touch $@

$(BUILT): $(DEPS) $(SOURCES)
	@echo "tickpath: compiling the core"
	@mkdir -p var
	@$(BIN)/python -m pip install --disable-pip-version-check -q --no-build-isolation --no-deps -e . >var/build.log 2>&1 || { cat var/build.log >&2; exit 1; }
	@touch $@

build: $(BUILT)

run: $(BUILT)
	$(if $(LIVE),$(BIN)/python scripts/run_live.py $(if $(SHORT),--seconds 8),\
	  $(BIN)/tickpath run --config config/paper-demo.toml --verify $(if $(SHORT),--set venues.binance.pace=fast))

test: $(BUILT) .venv-clients/.deps
	$(BIN)/python -m pytest -m "not soak" -n 2 --dist loadfile --no-loadscope-reorder

check: $(BUILT)
	$(BIN)/ruff check ext daemon research scripts tests examples setup.py
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/cython-lint ext scripts tests
	@if command -v spin >/dev/null || [ "$$TICKPATH_REQUIRE_TOOLS" = 1 ]; then $(BIN)/python tests/models/check_models.py; \
	  else echo "tickpath: models not checked: spin is missing. Run: apt-get install spin"; fi
	@if command -v valgrind >/dev/null || [ "$$TICKPATH_REQUIRE_TOOLS" = 1 ]; then $(BIN)/python scripts/instructions.py --check; \
	  else echo "tickpath: instructions not counted: valgrind is missing. Run: apt-get install valgrind"; fi

bench: $(BUILT) $(if $(PEERS),.venv-peers/.deps)
	@mkdir -p var/bench
	@for f in scripts/bench_*.py; do n=$$(basename $$f .py); $(BIN)/python $$f --json >var/bench/$$n.tmp || exit $$?; mv var/bench/$$n.tmp var/bench/$$n.json; $(BIN)/python scripts/show_bench.py var/bench/$$n.json; done

.venv-peers/.deps:
	$(PYTHON) -m venv .venv-peers
	.venv-peers/bin/python -m pip install --disable-pip-version-check -q hftbacktest==2.4.4 pyzmq==27.3.0 \
	  cryptofeed==2.4.1 ccxt==4.5.90 websockets==17.4 orjson==3.13.0 uvloop==0.22.1
	$(PYTHON) -m venv .venv-peers/nautilus
	.venv-peers/nautilus/bin/python -m pip install --disable-pip-version-check -q nautilus_trader==1.221.0 || echo "tickpath: nautilus_trader not installed: no figures of it"
	@touch $@

# Clients that others wrote, which trade at the simulated venue in tests/judges. python-binance and the older connectors share
# the name of their package, so each of the latter stands in a folder of its own.
.venv-clients/.deps: constraints/clients.txt
	$(PYTHON) -m venv .venv-clients
	.venv-clients/bin/python -m pip install --disable-pip-version-check -q -c constraints/clients.txt python-binance \
	  binance-sdk-spot binance-sdk-derivatives-trading-usds-futures websocket-client pycryptodome requests
	for n in binance-connector binance-futures-connector; do .venv-clients/bin/python -m pip install --disable-pip-version-check \
	  -q --no-deps --upgrade --target .venv-clients/$$n -c constraints/clients.txt $$n || exit 1; done
	@touch $@

# freqtrade trades there as well; it is large, so that only the soaks want it.
.venv-freqtrade/.deps:
	$(PYTHON) -m venv .venv-freqtrade
	.venv-freqtrade/bin/python -m pip install --disable-pip-version-check -q freqtrade==2026.9
	@touch $@

soak: $(BUILT) .venv-clients/.deps .venv-freqtrade/.deps
	$(BIN)/python -m pytest -m soak
	TICKPATH_EXAMPLES=20 $(BIN)/python -m pytest -n 2 --timeout 3600 -m "hypothesis or sampled"

clean:
	rm -rf $(VENV) .venv-peers .venv-clients .venv-freqtrade build var .pytest_cache .ruff_cache .hypothesis
	find ext -name '*.so' -delete
	find ext \( -name '*.c' -o -name '*.cpp' \) -delete
	find . -name '__pycache__' -prune -exec rm -rf {} +
