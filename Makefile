# Needs python3 (3.11 or newer) and pip. uv is used where there is one; ensurepip may be missing.
# Another interpreter: make test PYTHON=python3.13 (after make clean).

ARGS =
PYTHON =

python = $(or $(PYTHON),python3)
pip_install = install -qq --disable-pip-version-check --editable
require_python = import sys; sys.exit(sys.version_info < (3, 11) and \
	"streamkit needs Python 3.11 or newer, and $(python) is %d.%d. Name another one, for example: \
	make demo PYTHON=python3.12" % sys.version_info[:2])

.DEFAULT_GOAL = help
.NOTPARALLEL:
.PHONY: demo test chaos check bench clean help

demo: .venv/demo.stamp   ## start the demo app; ARGS=--check calls every endpoint and exits
	@.venv/bin/python -m examples.demo $(ARGS)

# Only the whole suite is held to the coverage floor in pyproject.toml, and worth the start of more
# processes: each first imports everything. Who is done with its part takes over from another.
# They, and the processes that tests start, would compile everything again without its bytecode.
whole_suite = -n auto --dist worksteal --durations=20 --cov --cov-report=term-missing:skip-covered
run_tests = PYTHONDONTWRITEBYTECODE= .venv/bin/python -m pytest

test: .venv/test.stamp   ## run all tests with coverage; ARGS="-k name" runs some
	$(run_tests) $(or $(ARGS),$(whole_suite))

chaos: .venv/test.stamp   ## the long form of the fault tests: ten rounds of each, a minute a round
	STREAMKIT_CHAOS=long $(run_tests) tests/chaos $(ARGS)

# mypy reads the benchmarks too, hence their extra.
check: .venv/test.stamp .venv/bench.stamp   ## lint, check the formatting and the types
	.venv/bin/python -m ruff check
	.venv/bin/python -m ruff format --check
	.venv/bin/python -m mypy

bench: .venv/bench.stamp   ## measure against other libraries; ARGS=--quick for a short run
	.venv/bin/python -m benchmarks.one_connection $(ARGS)
	.venv/bin/python -m benchmarks.process $(ARGS)
	.venv/bin/python -m benchmarks.fan_out $(ARGS)
	.venv/bin/python -m benchmarks.appends $(ARGS)
	.venv/bin/python -m benchmarks.models $(ARGS)

clean:   ## remove .venv, caches and build output
	rm -rf .venv .coverage .coverage.* .hypothesis .mypy_cache .pytest_cache .ruff_cache dist
	find . -name __pycache__ -prune -exec rm -rf {} +

help:   ## show this list
	@sed -n 's/^\([a-z]*\):.*## /make \1	/p' Makefile

# One stamp for each extra, touched when all of it is installed. Both test and bench contain demo.
# Ctrl-C may leave half a package, which neither uv nor pip repairs: .venv is then made anew.
.venv/%.stamp: pyproject.toml | .venv/created
	@echo "Installing streamkit-py[$*] into .venv ..."
	@trap 'rm -f .venv/created .venv/*.stamp; exit 1' HUP INT TERM; \
	if uv --version >/dev/null 2>&1; then \
		uv pip install --quiet --python .venv/bin/python --editable '.[$*]'; \
	elif .venv/bin/python -m pip --version >/dev/null 2>&1; then \
		.venv/bin/python -m pip $(pip_install) '.[$*]'; \
	else \
		$(python) -m pip --python .venv/bin/python $(pip_install) '.[$*]'; \
	fi
	@touch .venv/demo.stamp $@

# Not `command -v uv`: that also finds the shim of a version manager that has no uv behind it.
# Debian splits ensurepip off. Where venv fails for that, the pip of $(python) fills .venv.
.venv/created:
	@echo "Creating .venv ..."
	@rm -rf .venv
	@if uv --version >/dev/null 2>&1; then \
		uv venv --quiet $(PYTHON:%=--python %) .venv; \
	else \
		$(python) -c '$(require_python)' && \
		{ $(python) -m venv .venv >/dev/null 2>&1 || $(python) -m venv --clear --without-pip .venv; }; \
	fi
	@touch $@
