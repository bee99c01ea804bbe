# make book    build the book into _build/html        make serve   read it at http://localhost:8000
# make test    everything that must hold              make rules   which rules a notebook breaks
# make gpu     pages and package on a GPU             make bench   how fast, beside what: 20 minutes
# make student the notebooks without solutions        make slides  the decks of slides, to stand alone
# make bundle  all in one zip, for a USB stick        make release wheel, bundle and slides
# make colab   every page as Colab runs it            make room    learners on one server, tried out
# make clean   remove what was built
# More in CONTRIBUTING.md.
PYTHON ?= python3
PORT ?= 8000
LEARNERS ?= 12
PY := .venv/bin/python

.PHONY: book serve test gpu bench rules notebooks retarget student slides bundle release colab room clean unusable

book: .venv/.installed node_modules/.installed
	@$(PY) tools/build.py

serve:
	@$(PYTHON) tools/serve.py "$(PORT)"

# $(call timed,name,command): run a group of tests and say how long it took
timed = @start=$$(date +%s); $(2) && echo "[$(1): $$(($$(date +%s) - start)) s]"
# Two files at a time, each on one thread: threads of two trainings would wait for each other's processors.
PYTEST := TEXTGEN_STRICT=1 OMP_NUM_THREADS=1 $(PY) -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder
# nbval holds each page to the run that was just built: the site shows what was checked, and nothing runs twice.
NBVAL := -p replay --nbval-lax --nbval-sanitize-with=tests/sanitize.cfg

test: .venv/.installed node_modules/.installed
	$(call timed,style,$(PY) -m ruff check . && $(PY) -m ruff format --check .)
	$(call timed,book,$(PY) tools/build.py)
	$(call timed,notebooks,PYTHONPATH=tools $(PYTEST) $(NBVAL) $$($(PY) tools/toc.py))
	$(call timed,tests,$(PYTEST) tests/test_gpu.py tests/test_site.py tests/test_live_site.py tests/test_colab.py tests)  # the longest first

# Where a GPU is; PY=python3 takes that Python, with what it has, instead of the book's environment.
gpu:
	@$(PY) bench/gpu.py

# NANOGPT=model.py and TEXT=text.txt measure more, ONLY="train loss" measures less; TRIED=1 what was tried instead.
bench: .venv/.installed
	@$(PY) bench/cpu.py$(if $(NANOGPT), --nanogpt "$(NANOGPT)")$(if $(TEXT), --text "$(TEXT)")$(if $(ONLY), --only $(ONLY))$(if $(TRIED), --tried --threads 1)

rules: .venv/.installed
	@ONLY="$(ONLY)" $(PY) tools/rules.py

notebooks: .venv/.installed
	@ONLY="$(ONLY)" $(PY) tools/execute.py

retarget:
	@$(PYTHON) tools/retarget.py "$(REPO)"

student: .venv/.installed
	@$(PY) tools/student.py

# Slides and bundle are taken from the built book, as long as nothing changed since: `make book` first.
slides: .venv/.installed
	@ONLY="$(ONLY)" $(PY) tools/slides.py

bundle: .venv/.installed
	@$(PY) tools/bundle.py

release: book
	@$(PY) -c 'import sys; sys.path.insert(0, "tools"); from project import version; sys.exit(sys.argv[1] not in ("", f"v{version()}") and f"The tag {sys.argv[1]} is not of version {version()}.")' "$(TAG)"
	@$(MAKE) --no-print-directory slides bundle
	@rm -rf _build/release && mkdir _build/release
	@cp _build/text-generation-*.zip _build/release
	@$(PY) -m zipfile -c _build/release/slides.zip _build/slides
	@unzip -qj _build/release/text-generation-*.zip '*.whl' -d _build/release

# Each page alone in a folder, with the packages that are here: its first cell installs the release, as on Colab.
colab:
	@pages=$$(ONLY="$(ONLY)" $(PYTHON) tools/toc.py | sed "s|^|$$PWD/|") && cd $$(mktemp -d) && cp $$pages . && \
	$(PYTHON) -m nbconvert --to notebook --inplace --execute --ExecutePreprocessor.timeout=600 *.ipynb

# On Linux, and with root's rights: the learners are system users.
room: .venv/.installed
	@$(PY) -m pip install --quiet --requirement workshop/requirements.txt
	@npm ci --prefix workshop --ignore-scripts --no-audit --no-fund --loglevel=error
	@$(if $(filter 0,$(shell id -u)),,sudo )$(PY) workshop/load_test.py --learners $(LEARNERS)

clean:
	rm -rf _build

# An environment that cannot run pip is made anew: its making was broken off, or its folder or its Python has moved.
PIP_RUNS = .venv/bin/pip --version >/dev/null 2>&1
.venv/.installed: requirements.txt $(shell $(PIP_RUNS) || echo unusable)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "The book needs Python 3.11 or newer, and $(PYTHON) is %d.%d: name a newer one, as in make book PYTHON=python3.12." % sys.version_info[:2] or 0)'
	@$(PIP_RUNS) || $(PYTHON) -m venv --clear .venv
	$(PY) -m pip install --quiet --requirement requirements.txt
	@touch $@

# Without npm nothing is installed: the build goes on, and says what that means.
node_modules/.installed: package-lock.json
	@if command -v npm >/dev/null && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error; then touch $@; fi
