#!/usr/bin/env bash
# Every number of docs/results.md: trains and decodes what is missing, one run after another, and
# rebuilds the page and its pictures from the records in docs/evidence/.
#   CORPUS=FOLDER WHISPER=FOLDER bash scripts/evidence.sh              all runs (hours), then the page
#   CORPUS=FOLDER WHISPER=FOLDER bash scripts/evidence.sh linear_first_scarce   of one setting
#   ... bash scripts/evidence.sh --jobs 2 transformer_second/erm                 runs whose names begin so
#   bash scripts/evidence.sh --write-up                                the page only (a minute)
#   bash scripts/evidence.sh --list                                    the commands, without running them
# CORPUS holds corpus.tsv; WHISPER is the base model (python scripts/fetch_whisper_base.py prints it).
# Killed? The same command resumes. OUT=FOLDER (default: runs/evidence) holds data and checkpoints.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
if [ -n "${VIRTUAL_ENV:-}" ] && [ -x "$VIRTUAL_ENV/bin/fairseq-dro" ]; then
    bin=$VIRTUAL_ENV/bin
else
    bash scripts/setup_environment.sh
    bin=$PWD/.venv/bin
fi
# one run a core: two spinning OpenMP threads double the CPU time
export PATH=$bin:$PATH OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE PYTHONWARNINGS=ignore
exec python scripts/evidence/make.py "$@"
