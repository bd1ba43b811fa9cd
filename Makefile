# Everything runs in .venv, which is built here and again whenever a requirements file changes.
PYTHON ?= python3
PIP := .venv/bin/python -m pip --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help run demo test test-api test-browser test-faults screenshots soak bench bench-quick lint

help:  ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: .venv/runtime  ## Start everything at http://127.0.0.1:8000 (PORT=… for another); Ctrl-C stops it
	@exec .venv/bin/python manage.py up

demo: .venv/runtime  ## Send one broadcast, watch all of it being delivered, stop
	@exec .venv/bin/python manage.py up --demo

test: .venv/development  ## Run the tests (ARGS="-k terms" passes options to pytest)
	@exec .venv/bin/python -m pytest -n auto --dist loadfile --ignore=tests/browser --ignore=tests/faults --ignore=tests/schema $(ARGS)

test-api: .venv/development  ## Hold the running API against its own description, with all that schemathesis thinks of
	@exec .venv/bin/python -m pytest --durations=2 tests/schema $(ARGS)

test-browser: .venv/development  ## Use the admin in Debian's Chromium: every page, every deed, by mouse and keyboard
	@exec .venv/bin/python -m pytest --durations=5 tests/browser $(ARGS)

screenshots: .venv/development  ## Take the pictures of the documents anew, into docs/screens
	@exec .venv/bin/python -m pytest -q tests/browser/screenshots.py

test-faults: .venv/development  ## Kill, pause and cut off everything: the failure catalogue, about 30 minutes
	@exec .venv/bin/python -m pytest --durations=15 tests/faults $(ARGS)

soak: .venv/development  ## The long versions of those, before a release: about two hours
	PREGON_EXAMPLES=2000 .venv/bin/python -m pytest -s tests/billing/test_ledger_machine.py tests/billing/test_credits_machine.py
	.venv/bin/python -m pytest --soak -s tests/faults $(ARGS)
	PREGON_API_CASES=1000 .venv/bin/python -m pytest -s tests/schema

bench: .venv/development  ## Measure everything against its floor, full size, on a quiet machine: about forty minutes
	@exec .venv/bin/python -m bench

bench-quick: .venv/development  ## The same for accepting and delivering at small sizes: three minutes
	@exec .venv/bin/python -m bench --quick

lint: .venv/development  ## Check format, habits, types, the direction of imports, templates
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy .
	.venv/bin/lint-imports
	.venv/bin/djlint --check --lint templates

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Python 3.11 or newer is needed. PYTHON=python3.13 make … names another one."; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null \
		|| { echo "The package python3-venv is missing. On Debian and Ubuntu: apt install python3-venv"; exit 1; }
	$(PYTHON) -m venv .venv

.venv/runtime: requirements.txt | .venv/bin/python
	$(PIP) install --quiet --requirement requirements.txt
	@touch $@

.venv/development: requirements-dev.txt .venv/runtime | .venv/bin/python
	$(PIP) install --quiet --requirement requirements-dev.txt
	@touch $@
