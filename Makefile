# Needs python3 (3.11 or newer) and pip. uv is used where there is one; ensurepip may be missing.
# Another interpreter: make test PYTHON=python3.13 (after make clean).

ARGS =
PYTHON =

python = $(or $(PYTHON),python3)
pip_install = install -qq --disable-pip-version-check
require_python = import sys; sys.exit(sys.version_info < (3, 11) and \
	"streamkit needs Python 3.11 or newer, and $(python) is %d.%d. Name another one, for example: \
	make demo PYTHON=python3.12" % sys.version_info[:2])

.DEFAULT_GOAL = help
.NOTPARALLEL:
.PHONY: demo test chaos lowest check bench dist clean help needs

demo: .venv/demo.stamp   ## start the demo app; ARGS=--check calls every endpoint and exits
	@.venv/bin/python -m examples.demo $(ARGS)

# The whole suite is worth the start of more processes: each first imports everything. Who is done with
# its part takes over from another. They, and the processes that tests start, would compile everything
# again without its bytecode. With CI=true the coverage is measured too, which takes half as long again,
# and held to the floor in pyproject.toml.
in_parallel = -n auto --dist worksteal
coverage = $(if $(CI),--cov --cov-report=term-missing:skip-covered)
whole_suite = $(in_parallel) --durations=20 $(coverage)
run_tests = PYTHONDONTWRITEBYTECODE= .venv/bin/python -m pytest

# Some tests measure time, and their neighbours take it from them on a busy machine. So a test of the
# whole suite that fails is run once more, alone: it has to pass then.
alone = --last-failed --last-failed-no-failures none $(if $(CI),--cov-append) $(coverage)

test: .venv/test.stamp   ## run all tests; ARGS="-k name" runs some; CI=true holds the coverage floor
	$(run_tests) $(or $(ARGS),$(whole_suite) || $(run_tests) $(alone))

chaos: .venv/test.stamp   ## the long form of the fault tests: ten rounds of each, a minute a round
	STREAMKIT_CHAOS=long $(run_tests) tests/chaos $(ARGS)

lowest: .venv-lowest/test.stamp   ## run all tests on the lowest versions that pyproject.toml allows
	@.venv-lowest/bin/python tools/needs.py
	PYTHONDONTWRITEBYTECODE= .venv-lowest/bin/python -m pytest $(or $(ARGS),$(in_parallel))

# mypy reads the benchmarks too, hence their group.
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
	.venv/bin/python -m benchmarks.imports $(ARGS)

dist: .venv/test.stamp   ## build what is uploaded to the package index
	rm -rf dist
	.venv/bin/python -m hatchling build

clean:   ## remove .venv, caches and build output
	rm -rf .venv .venv-lowest .coverage .coverage.* .hypothesis .mypy_cache .pytest_cache .ruff_cache dist
	find . -name __pycache__ -prune -exec rm -rf {} +

help:   ## show this list
	@sed -n 's/^\([a-z]*\):.*## /make \1	/p' Makefile

# What the tests run beside Python. It takes 0.1 s when all is there.
test: needs
needs: .venv/test.stamp
	@.venv/bin/python tools/needs.py

# One stamp for each dependency group, touched when all of it is installed. The groups test and bench
# contain demo. The pip of Debian 12 knows no groups: it gets their lines.
stamps = .venv/demo.stamp .venv/test.stamp .venv/bench.stamp .venv-lowest/test.stamp
.venv-lowest/test.stamp: constraints = --constraint .venv-lowest/constraints.txt
.venv-lowest/test.stamp: | .venv-lowest/created
$(filter .venv/%,$(stamps)): | .venv/created

# uv compiles on request only; a package that warns when it is compiled would then fail in a test.
# Ctrl-C may leave half a package, which neither uv nor pip repairs: the folder is then made anew.
$(stamps): %.stamp: pyproject.toml
	@echo "Installing streamkit-py and its $(*F) requirements into $(@D) ..."
	@trap 'rm -f $(@D)/created $(@D)/*.stamp; exit 1' HUP INT TERM; \
	$(@D)/bin/python tools/requirements.py $(*F) >$(@D)/requirements.txt && \
	$(@D)/bin/python tools/requirements.py $(*F) --lowest >$(@D)/constraints.txt && \
	set -- --editable . --requirement $(@D)/requirements.txt $(constraints) && \
	if uv --version >/dev/null 2>&1; then \
		uv pip install --quiet --compile-bytecode --python $(@D)/bin/python "$$@"; \
	elif $(@D)/bin/python -m pip --version >/dev/null 2>&1; then \
		$(@D)/bin/python -m pip $(pip_install) "$$@"; \
	else \
		$(python) -m pip --python $(@D)/bin/python $(pip_install) "$$@"; \
	fi
	@touch $(@D)/demo.stamp $@

# Not `command -v uv`: that also finds the shim of a version manager that has no uv behind it.
# Debian splits ensurepip off. Where venv fails for that, the pip of $(python) fills the folder.
.venv/created .venv-lowest/created:
	@echo "Creating $(@D) ..."
	@rm -rf $(@D)
	@if uv --version >/dev/null 2>&1; then \
		uv venv --quiet $(PYTHON:%=--python %) $(@D); \
	else \
		$(python) -c '$(require_python)' && \
		{ $(python) -m venv $(@D) >/dev/null 2>&1 || $(python) -m venv --clear --without-pip $(@D); }; \
	fi
	@touch $@
