#!/usr/bin/env bash
# Runs the tests; arguments go to pytest: bash scripts/test.sh -k resume
# FAIRSEQ_DRO_CORPUS=folder adds the tests on real speech.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
bash "$root/scripts/setup_environment.sh"
cd "$root"
exec .venv/bin/python -m pytest "$@"
