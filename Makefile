# Two commands do all their own set-up: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test browser sms-tools lint types bench clean
.DELETE_ON_ERROR:

$(VENV)/installed: setup.cfg pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "error: jaxst needs Python 3.11 or later")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

$(VENV)/installed-test: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --editable '.[test,lint,bench]'
	touch $@

demo: $(VENV)/installed
	$(BIN)/jaxst-transfer --content=jaxst/clips/guitar.flac --style=jaxst/clips/water.flac \
	  --output=guitar_in_water.wav --report=report --overwrite

# The browser tests need Chromium, installed where apt and the right to use it are at hand; the sinusoidal model is compared
# with sms-tools, in an environment of its own. Tests that miss either say that they skip.
test: browser sms-tools
	$(BIN)/python -m pytest

browser:
	./tests/install_browser

sms-tools: $(VENV)/installed-test
	./tests/install_sms_tools

lint: $(VENV)/installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# Checked as installed: only there does jaxst.kernels stand where its name says.
types: $(VENV)/installed-test
	rm -rf build
	$(BIN)/python -m pip install --quiet --no-deps --target build/types .
	$(BIN)/pyright --pythonpath $(BIN)/python

bench: sms-tools
	$(BIN)/jaxst-bench --output=build/bench --overwrite

clean:
	rm -rf $(VENV) build dist *.egg-info
