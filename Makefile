# Every target makes the environment it needs first; nothing has to be installed by hand.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV ?= .venv
BIN := $(VENV)/bin
ARGS ?=

.PHONY: train test test-long fuzz serve lint docs format bench bench-check bench-gpu bench-train bench-train-torch bench-score bench-model clean

train: $(VENV)/.installed-train
	$(BIN)/python -m fer_jax train $(ARGS)

test: $(VENV)/.installed-dev
	$(BIN)/python -m pytest $(ARGS)

# Tests of minutes: clusters of processes, the notebook, long trainings.
test-long: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -m long $(ARGS)

# Damages images for a minute and looks for one that kills a decoder.
fuzz: $(VENV)/.installed-dev
	$(BIN)/python -m tests.media.fuzz_decoder $(ARGS)

serve: $(VENV)/.installed
	$(BIN)/python -m fer_jax live $(ARGS)

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/basedpyright

# Builds the API pages in $(DIR); open index.html there.
docs: $(VENV)/.installed-dev
	$(BIN)/python docs/build_api.py $(or $(DIR),build/api)

format: $(VENV)/.installed-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Runs every benchmark that this machine allows and writes bench/report.json and docs/benchmarks.md. What
# others need lives in separate environments; where one does not install, its part is left out.
# DIR=photos names photographs for scoring, VIDEO=clip.mp4 a video for the live server.
bench: $(VENV)/.installed-train
	-@$(MAKE) --no-print-directory --keep-going .venv-keras/.installed .venv-fer/.installed .venv-torch/.installed
	$(BIN)/python benchmarks/suite.py $(if $(DIR),--dir "$(DIR)") $(if $(VIDEO),--video "$(VIDEO)") $(ARGS)
	$(BIN)/python benchmarks/write_tables.py

# Compares this machine's ratios with those of bench/report.json and warns where one is much worse.
bench-check: $(VENV)/.installed-train
	$(BIN)/python benchmarks/suite.py --check $(if $(DIR),--dir "$(DIR)") $(if $(VIDEO),--video "$(VIDEO)") $(ARGS)

# Trains seed_cnn here and in Keras on TensorFlow, alternating; TensorFlow has a separate environment.
bench-train: $(VENV)/.installed-train .venv-keras/.installed
	$(BIN)/python benchmarks/train_throughput.py --keras-python .venv-keras/bin/python $(ARGS)

# Trains resnet_small here and in PyTorch, alternating, on the CPU.
bench-train-torch: $(VENV)/.installed-train .venv-torch/.installed
	$(BIN)/python benchmarks/train_throughput.py --model resnet_small --torch-python .venv-torch/bin/python $(ARGS)

# Trains here and in PyTorch, alternating, on a GPU, on the faces in DIR; needs JAX's build for it in $(VENV).
bench-gpu: $(VENV)/.installed-train .venv-torch/.installed
	$(BIN)/python benchmarks/train_accelerator.py $(if $(DIR),--data "$(DIR)") $(ARGS)

# Scores the images below DIR here and with the PyPI package fer, alternating.
bench-score: $(VENV)/.installed .venv-fer/.installed
	$(BIN)/python benchmarks/score_throughput.py --fer-python .venv-fer/bin/python $(if $(DIR),--dir "$(DIR)") $(ARGS)

# Times the shipped network against those of fer and PyTorch; without an installable PyTorch, against
# fer's. With DIR=faces, also compares their accuracy and agreement with the crowd there.
bench-model: $(VENV)/.installed .venv-fer/.installed
	-@$(MAKE) --no-print-directory .venv-torch/.installed
	$(BIN)/python benchmarks/model_speed.py --fer-python .venv-fer/bin/python --torch-python .venv-torch/bin/python $(if $(DIR),--data "$(DIR)") $(ARGS)

$(VENV)/.installed: pyproject.toml setup.py constraints.txt
	$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	touch $@

$(VENV)/.installed-train: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[train]"
	touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	touch $@

.venv-keras/.installed: benchmarks/keras-requirements.txt
	.venv-keras/bin/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear .venv-keras
	.venv-keras/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	touch $@

.venv-fer/.installed: benchmarks/fer-requirements.txt
	.venv-fer/bin/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear .venv-fer
	.venv-fer/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	touch $@

.venv-torch/.installed: benchmarks/torch-requirements.txt
	.venv-torch/bin/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear .venv-torch
	.venv-torch/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	touch $@

clean:
	rm -rf $(VENV) .venv-keras .venv-fer .venv-torch build dist *.egg-info
