# make demo   block out a room, generate, import, render: pictures in build/demo
# make test   linters, type checks and all tests, Blender's included
# make test-cluster   jobs on a Ray cluster on this machine (Linux)
# make test-gui   an artist's first ten minutes in real Blender windows (Linux, root, Debian packages): build/gui
# Everything lands in this folder: environments in .venv*, results in build/ and dist/.

# Blender's module comes for one Python only; any 3.11 will do: make demo PYTHON=/path/to/python
PYTHON ?= python3.11
BLENDER ?= 4.5
BPY_4.2 := 4.2.23
BPY_4.5 := 4.5.15
BPY_5.0 := 5.0.1

SCRIPTS := $(if $(filter Windows_NT,$(OS)),Scripts,bin)
BACKEND := .venv
BIN := $(BACKEND)/$(SCRIPTS)
BPY := .venv-bpy-$(BLENDER)
export SET_DRESSER_PYTHON := $(CURDIR)/$(BIN)/python
export LIBGL_ALWAYS_SOFTWARE := 1
# Hundreds of processes start in the tests, so that what they import is compiled once, whatever the shell has set.
unexport PYTHONDONTWRITEBYTECODE

# What waits for processes more than it computes: half of the backend's tests in time.
WAITING := $(addprefix tests/backend/,cli cluster downloads jobs server)

.PHONY: demo test lint test-backend test-server test-pipelines test-networks test-blender test-blender-matrix test-rendering test-cluster test-gui docs bench zip lock clean python

demo: $(BACKEND)/.server $(BPY)/.ready
	$(BPY)/$(SCRIPTS)/python -m demo $(ARGS)

# All at once, the longest first; what they stand on is made first, so that they do not make it at once.
test: $(BACKEND)/.dev $(BPY)/.ready
	$(BIN)/python -m tests.together "$(MAKE)" test-pipelines test-blender test-server test-networks lint test-rendering

lint: $(BACKEND)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test-backend: $(BACKEND)/.dev
	$(BIN)/python -m pytest tests/backend $(ARGS)

# test-backend in two, to run side by side.
test-server: $(BACKEND)/.dev
	$(BIN)/python -m pytest $(WAITING) $(ARGS)

test-pipelines: $(BACKEND)/.dev
	$(BIN)/python -m pytest tests/backend $(addprefix --ignore=,$(WAITING)) $(ARGS)

test-networks: $(BACKEND)/.dev
	$(BIN)/python -m pytest tests/models tests/training tests/parity tests/structure tests/addon_without_blender $(ARGS)

test-blender: $(BACKEND)/.dev $(BPY)/.ready zip
	$(BPY)/$(SCRIPTS)/python -m pytest tests/blender_addon $(ARGS)

# Pictures to learn from: the backend's Python asks, Blender's module renders.
test-rendering: $(BACKEND)/.dev $(BPY)/.ready
	SET_DRESSER_BLENDER=$(CURDIR)/$(BPY)/$(SCRIPTS)/python $(BIN)/python -m pytest tests/rendering $(ARGS)

test-blender-matrix:
	for version in 4.2 4.5 5.0; do $(MAKE) test-blender test-rendering BLENDER=$$version || exit 1; done

# Jobs on a real Ray cluster of three machines that are one; on one that does nothing else.
test-cluster: $(BACKEND)/.cluster
	SET_DRESSER_TEST_CLUSTER=1 $(BIN)/python -m pytest tests/backend/cluster $(ARGS)

# Blender 4.3 and 5.2 from Debian under Xvfb; where that cannot be, it says so and ends well.
test-gui: $(BACKEND)/.dev
	$(BIN)/python -m tests.gui $(ARGS)

# The tables of docs/troubleshooting.md, from the code.
docs: $(BACKEND)/.server
	$(BIN)/python build_docs.py

bench: $(BACKEND)/.server $(BPY)/.ready
	$(BPY)/$(SCRIPTS)/python -m bench $(ARGS)

zip:
	$(PYTHON) build_addon.py

# uv resolves one file for all three systems; pip and uv both install it.
lock: $(BACKEND)/.dev
	$(BIN)/python -m pip install --quiet uv
	for name in server dev learned cluster uv; do \
	  $(BIN)/uv pip compile --quiet --universal --generate-hashes --python-version 3.11 --no-emit-index-url \
	    --no-emit-find-links --custom-compile-command "make lock" requirements/$$name.in -o requirements/$$name.txt \
	    || exit 1; done

clean:
	rm -rf build dist .venv .venv-bpy-* .hypothesis .pytest_cache .mypy_cache .ruff_cache

# A sentence instead of make's own words when Python is not there or another one.
python:
	@$(PYTHON) -c "import sys; sys.exit(sys.version_info[:2] != (3, 11))" || \
	  { echo "Python 3.11 is needed and $(PYTHON) is not that. Install it, or name it: make PYTHON=/path/to/python3.11"; exit 1; }

$(BACKEND)/.server: requirements/server.txt | python
	$(PYTHON) -m venv $(BACKEND)
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements/server.txt
	touch $@

# torch comes from the package registry's default build; name another with TORCH_OPTIONS="--index-url ...".
$(BACKEND)/.dev: $(BACKEND)/.server requirements/dev.txt requirements/learned.txt requirements/torch.txt
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements/dev.txt -r requirements/learned.txt
	$(BIN)/python -m pip install --quiet $(TORCH_OPTIONS) -r requirements/torch.txt
	touch $@

$(BACKEND)/.cluster: $(BACKEND)/.dev requirements/cluster.txt
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements/cluster.txt
	touch $@

.venv-bpy-%/.ready: requirements/blender.txt | python
	$(PYTHON) -m venv .venv-bpy-$*
	.venv-bpy-$*/$(SCRIPTS)/python -m pip install --quiet "bpy==$(BPY_$*)" -r requirements/blender.txt
	touch $@
