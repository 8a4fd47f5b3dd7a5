#!/usr/bin/env bash
# Tests that hydra, fairseq and its stock commands start, on several interpreters:
#   bash scripts/test_startup_matrix.sh                       python3.10 to 3.13, where there
#   bash scripts/test_startup_matrix.sh python3.12 /path/to/python3.13
# It makes .venv-startup-VERSION beside the checkout's .venv, without torch, whose wheels take
# gigabytes: tests/stub_torch stands in for it, which is enough to start up and for nothing else.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if [ $# -eq 0 ]; then
    for name in python3.10 python3.11 python3.12 python3.13; do
        if "$name" -V >/dev/null 2>&1; then
            set -- "$@" "$name"
        else
            echo "left out: $name is not there or does not run" >&2
        fi
    done
    [ $# -gt 0 ] || { echo "error: no interpreter found: name them as arguments" >&2; exit 2; }
fi

pins=$(mktemp)
trap 'rm -f "$pins"' EXIT
grep -vE '^(torch|torchaudio)==' scripts/pins.txt >"$pins"
failed=()
for interpreter in "$@"; do
    version=$("$interpreter" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    venv=.venv-startup-$version
    if [ ! -x "$venv/bin/fairseq-hydra-train" ]; then
        echo "setting up $venv ..." >&2
        "$interpreter" -m venv --clear "$venv"
        pip="$venv/bin/python -m pip --disable-pip-version-check -qq"
        $pip install pip==24.0 setuptools==84.2.1 wheel==0.48.0
        $pip install --constraint "$pins" hydra-core numpy cffi cython regex sacrebleu tqdm \
            bitarray editdistance soundfile sentencepiece rapidfuzz pytest
        $pip install --no-deps fairseq==0.12.2
    fi
    "$venv/bin/python" -m pip --disable-pip-version-check --quiet install --no-deps \
        --no-build-isolation --editable .
    echo "== $("$venv/bin/python" -V)"
    PYTHONPATH=$PWD/tests/stub_torch "$venv/bin/python" -m pytest -q -m startup --noconftest \
        -p no:cacheprovider tests/test_startup.py || failed+=("$version")
done
[ ${#failed[@]} -eq 0 ] || { echo "failed on: ${failed[*]}" >&2; exit 1; }
