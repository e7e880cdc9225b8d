# Short names for the commands of README.md.
.PHONY: run test test-gpu lint docs

run:
	python -m pip install . && speechkit run quickstart

test:
	python -m pip install -e '.[test]' && python -m pytest -n auto

test-gpu:
	python -m pytest -m gpu -rs

lint:
	ruff check . && ruff format --check . && lint-imports && \
	mypy -p speechkit -p speechkit_augment -p speechkit_beam -p speechkit_bilstm -p speechkit_corpora \
	  -p speechkit_features -p speechkit_greedy -p speechkit_lm -p speechkit_n2 \
	  -p speechkit_ngram -p speechkit_pretrained -p speechkit_units

docs:
	python -m pip install -e '.[docs]' && NO_MKDOCS_2_WARNING=1 python -m mkdocs build --strict
