# make lab    set up, fetch the data, open JupyterLab at notebook 00   (ARGS=--no-browser)
# make test   set up, fetch the data, run every test                   (ARGS="-m unit")
# make student  write build/student, what a class gets, for nbgrader   (ARGS="03 10 --trial")
# make site   write build/site/: every notebook as a page, search, glossary, the explorer; open
#             build/site/index.html (no kernel, no network)
# make slides  write build/slides, a deck for each notebook (no network)       (ARGS="03 10")
# make offline  write build/offline, one folder for a room without a network
# The first call makes .venv and installs the tested versions; the next ones start at once.

PYTHON ?= python3
VENV := .venv
PY := $(VENV)/$(if $(filter Windows_NT,$(OS)),Scripts,bin)/python
# The stamp's name holds what was installed, so a changed pin or a moved folder installs again.
# It is made last: an install that failed or was stopped leaves none.
KEY := $(shell { pwd; cat pyproject.toml constraints.txt; } | cksum | cut -d ' ' -f 1)
READY := $(VENV)/ready-$(KEY)
BENCH := $(VENV)/bench-$(KEY)
CLASSROOM := $(VENV)/classroom-$(KEY)
# In a container one is often root, and JupyterLab wants to be told that this is meant.
ROOT := $(if $(filter 0,$(shell id -u)),--allow-root)

.PHONY: lab test fetch notebooks results bench student slides site offline clean

lab: $(READY)
	@$(PY) -m helpers fetch || echo "Some data is missing: notebooks that need it will say so."
	$(PY) -m jupyterlab --LabApp.default_url=/lab/tree/notebooks/00_start_here.ipynb $(ROOT) $(ARGS)

test: $(CLASSROOM) fetch
	$(PY) -m pytest -n 2 --dist worksteal $(ARGS)

fetch: $(READY)
	@$(PY) -m helpers fetch

notebooks: $(READY) fetch
	$(PY) tools/build_notebooks.py $(or $(ARGS),--all)

results: $(READY) fetch
	$(PY) -m helpers sweep $(or $(ARGS),all)
	$(PY) tools/list_missing.py
	$(PY) tools/score_rules.py
	$(PY) tools/make_pictures.py decision
	$(PY) tools/measure_decoder.py
	$(PY) tools/measure_break_even.py

bench: $(BENCH) fetch
	$(PY) tools/bench.py $(ARGS)

student: $(CLASSROOM)
	$(PY) tools/make_student.py $(ARGS)

slides: $(READY)
	@$(PY) -m helpers fetch reveal
	$(PY) tools/make_slides.py $(ARGS)

site: $(READY)
	$(PY) tools/build_site.py $(ARGS)

offline: $(READY) fetch
	$(PY) tools/make_offline.py $(ARGS)

clean:
	rm -rf $(VENV) data/cache build/site build/slides

$(READY):
	@command -v $(PYTHON) > /dev/null || { \
	    echo "$(PYTHON) is not here: install Python 3.11 or newer, or name another:" \
	        "make PYTHON=/path/to/python" >&2; exit 1; }
	@$(PYTHON) tools/check_python.py
	@rm -f $(VENV)/ready-* $(VENV)/bench-* $(VENV)/classroom-*
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install -c constraints.txt -e ".[dev]"
	@touch $@

$(BENCH): $(READY)
	$(PY) -m pip install -c constraints.txt -e ".[dev,bench]"
	@touch $@

$(CLASSROOM): $(READY)
	$(PY) -m pip install -c constraints.txt -e ".[dev,classroom]"
	@touch $@
