# make app         the explorer on http://localhost:5006    PORT=  BUNDLE=  SURVEY=
# make test        lint, types and the tests                CHROMIUM=/path/to/a/browser
# make test-all    the same and the tests that take minutes
# make test-quick  the same without the slow and the browser tests
# make lint        ruff, mypy, the one-way rule, unused dependencies
# make bench       lists the benchmarks                     NAME=  ARGS=  run one
# make docs        the documentation as pages in build/docs
# make demo-bundle what `galaxy-explorer demo` shows, anew from trained/sdss
#
# Each sets .venv up first, once; from then on none of them needs the network.
# TORCH_CPU_INDEX= names where the CPU build of PyTorch is, for a machine without an NVIDIA card.
# PYTHON=/path/to/python3.12 chooses the interpreter that .venv is made with.

PORT ?= 5006
BUNDLE ?= $(or $(GALAXY_EXPLORER_BUNDLE),trained/sdss)
SURVEY ?= $(GALAXY_EXPLORER_SURVEY)
PYTHON ?=
NAME ?=
ARGS ?=

RUN := .venv/bin/python
# The tests of a file run in one process, heavy files first (tests/conftest.py), and the browser
# tests in one of their own; more threads than cores would only wait for each other.
TESTS := OMP_NUM_THREADS=1 $(RUN) -m pytest -n auto --maxprocesses 4 --dist loadfile \
	--no-loadscope-reorder
# ruff and mypy need one core for a minute: beside the tests, not before them.
BESIDE := @sh .ci/beside.sh "$(MAKE) --no-print-directory lint"
# The stamp's name changes with what is to be installed and with the folder it is installed in.
STATE := $(shell { cat pyproject.toml constraints.txt; pwd; } | cksum | cut -d ' ' -f 1)
READY := .venv/ready-$(STATE)

# Where writing bytecode is switched off, every start would compile all the libraries again.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: app test test-all test-quick lint bench docs demo-bundle clean

# The interpreter that .venv was made with may have gone from the machine: then no stamp holds.
ifneq ($(shell test -x .venv/bin/python && echo yes),yes)
.PHONY: $(READY)-app $(READY)-test
endif

app: $(READY)-app
	@$(RUN) .ci/port_is_free.py $(PORT)
	@echo "Galaxy Explorer: http://localhost:$(PORT) shows $(BUNDLE) in a few seconds; Ctrl-C stops it"
	@GALAXY_EXPLORER_BUNDLE="$(BUNDLE)" GALAXY_EXPLORER_SURVEY="$(SURVEY)" $(RUN) -m panel serve \
		app.py --plugins galaxy_explorer.explorer.routes --address localhost --port $(PORT) \
		--warm --log-level warning

test: $(READY)-test
	@$(RUN) tests/browser_path.py --install
	$(BESIDE) "$(TESTS) -m 'not long'"

test-all: $(READY)-test
	@$(RUN) tests/browser_path.py --install
	$(BESIDE) "$(TESTS)"

test-quick: $(READY)-test
	$(BESIDE) "$(TESTS) -m 'not slow and not browser and not long'"

lint: $(READY)-test
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	.venv/bin/biome check --error-on-warnings galaxy_explorer/explorer/js
	.venv/bin/lint-imports
	$(RUN) -m deptry .
	$(RUN) -m mypy

bench: $(READY)-test
	@$(if $(NAME),$(RUN) -m benchmarks.$(NAME) $(ARGS),sed -n '/^## /p' benchmarks/README.md)

# Warnings are errors; nothing is fetched, no notebook is run.
docs: $(READY)-docs
	$(RUN) -m sphinx -W --keep-going -q -d build/doctrees docs build/docs
	@echo "build/docs/index.html"

# At most 8 MB: with the flow, so that it draws galaxies, and without what is measured of the whole.
demo-bundle: $(READY)-app
	$(RUN) -m galaxy_explorer excerpt trained/sdss --out galaxy_explorer/demo --name sdss-demo \
		--n 2400 --leave-out judge --leave-out evaluation --leave-out emulation --leave-out pixelcnn

clean:
	rm -rf .venv build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache

$(READY)-app:
	@PYTHON="$(PYTHON)" sh .ci/install.sh . $@

$(READY)-docs:
	@PYTHON="$(PYTHON)" sh .ci/install.sh '.[docs]' $(READY)-app $@

$(READY)-test:
	@PYTHON="$(PYTHON)" sh .ci/install.sh '.[test]' $(READY)-app $@
