# make lab    set up, fetch the data, open JupyterLab at notebook 00   (ARGS=--no-browser)
# make test   set up, fetch the data, run every test                   (ARGS="-m unit")
# make student  write build/student, what a class gets, for nbgrader   (ARGS="03 10 --trial")
# make site   write build/site/: every notebook as a page, search, glossary, the explorer; open
#             build/site/index.html (no kernel, no network)
# make slides  write build/slides, a deck for each notebook (no network)       (ARGS="03 10")
# make attack  change bytes, kill, interrupt, and count what goes wrong (ARGS="--small --seed 1")
# make offline  write build/offline, one folder for a room without a network
# The first call makes .venv and installs the tested versions; the next ones start at once.

PYTHON ?= python3
VENV := .venv
PY := $(VENV)/$(if $(filter Windows_NT,$(OS)),Scripts,bin)/python
# The stamp's name holds what was installed, so a changed pin or a moved folder installs again.
# It is made last: an install that failed or was stopped leaves none.
KEY := $(shell { pwd; cat pyproject.toml constraints.txt requirements.lock; } | cksum | cut -d ' ' -f 1)
READY := $(VENV)/ready-$(KEY)
BENCH := $(VENV)/bench-$(KEY)
CLASSROOM := $(VENV)/classroom-$(KEY)
# In a container one is often root, and JupyterLab wants to be told that this is meant.
ROOT := $(if $(filter 0,$(shell id -u)),--allow-root)
# Threads of torch that wait for one another spin for a while before they sleep. With the default, a
# training loop beside another program takes three times as long; with this, alone, 5 % more.
export GOMP_SPINCOUNT ?= 30000

.PHONY: lab test fetch notebooks results bench attack student slides site offline clean

lab: $(READY)
	@$(PY) -m helpers fetch || echo "Some data is missing: notebooks that need it will say so."
	JUPYTER_CONFIG_PATH="$(CURDIR)/tools/lab$${JUPYTER_CONFIG_PATH:+:$$JUPYTER_CONFIG_PATH}" \
	    $(PY) -m jupyterlab --LabApp.default_url=/lab/tree/notebooks/00_start_here.ipynb $(ROOT) $(ARGS)

test: $(CLASSROOM) fetch
	$(PY) -m pytest -n 2 --dist worksteal $(ARGS)

fetch: $(READY)
	@$(PY) -m helpers fetch

notebooks: $(READY) fetch
	$(PY) -m tools.notebooks.build_notebooks $(or $(ARGS),--all)

results: $(READY) fetch
	$(PY) -m helpers sweep $(or $(ARGS),all)
	$(PY) -m tools.measure.list_missing
	$(PY) -m tools.measure.admit_rows
	$(PY) -m tools.measure.score_rules
	$(PY) -m tools.measure.score_looks
	$(PY) -m tools.measure.score_advisor --refresh
	$(PY) -m tools.site.make_pictures decision
	$(PY) -m tools.measure.measure_decoder
	$(PY) -m tools.measure.measure_break_even

bench: $(BENCH) fetch
	$(PY) -m tools.bench.bench $(ARGS)

attack: $(READY) fetch
	$(PY) -m tools.attack.attack $(ARGS)

student: $(CLASSROOM)
	$(PY) -m tools.classroom.make_student $(ARGS)

slides: $(READY)
	@$(PY) -m helpers fetch reveal
	$(PY) -m tools.slides.make_slides $(ARGS)

site: $(READY)
	$(PY) -m tools.site.build_site $(ARGS)

offline: $(READY) fetch
	$(PY) -m tools.classroom.make_offline $(ARGS)

clean:
	rm -rf $(VENV) data/cache build/site build/slides

$(READY):
	@command -v $(PYTHON) > /dev/null || { \
	    echo "$(PYTHON) is not here: install Python 3.11 or newer, or name another:" \
	        "make PYTHON=/path/to/python" >&2; exit 1; }
	@$(PYTHON) tools/check_python.py
	@rm -f $(VENV)/ready-* $(VENV)/bench-* $(VENV)/classroom-*
	$(PYTHON) -m venv $(VENV)
	$(PY) tools/install.py
	@touch $@

$(BENCH): $(READY)
	$(PY) -m pip install -c constraints.txt -e ".[dev,bench]"
	@touch $@

$(CLASSROOM): $(READY)
	$(PY) -m pip install -c constraints.txt -e ".[dev,classroom]"
	@touch $@
