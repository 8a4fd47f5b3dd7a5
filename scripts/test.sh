#!/usr/bin/env bash
# Runs the tests, in two processes of one thread; arguments go to pytest:
#   bash scripts/test.sh -k resume
#   bash scripts/test.sh -n 0 -x        in one process, up to the first failure
# FAIRSEQ_DRO_CORPUS=folder adds the tests on real speech.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
bash "$root/scripts/setup_environment.sh"
cd "$root"
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
unset PYTHONDONTWRITEBYTECODE  # many processes import this checkout: compile it once
exec .venv/bin/python -m pytest -n 2 --dist worksteal "$@"
