#!/usr/bin/env bash
# Makes .venv with everything that the tests and the demo need, or sees at once that it is right.
#   bash scripts/setup_environment.sh          then use .venv/bin/python
#   PYTHON=python3.12 bash scripts/setup_environment.sh
# Needs a Python 3.10 to 3.13 with venv, and a C++ compiler for fairseq's extensions.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
venv=.venv
stamp=$venv/.fairseq-dro-stamp

fail() {
    echo "error: $*" >&2
    exit 2
}

is_right_python() {
    "$1" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 14))' 2>/dev/null
}

# What the environment was made from: the interpreter, the pins, the metadata and the hook.
fingerprint() {
    "$1" - scripts/setup_environment.sh scripts/pins.txt setup.py \
        fairseq_dro/compat/startup_hook.py <<'PYTHON_END'
import hashlib, os, sys
content = [repr((sys.version, os.path.realpath(sys.executable), os.getcwd())).encode()]
content += [open(path, "rb").read() for path in sys.argv[1:]]
print(hashlib.sha256(b"\0".join(content)).hexdigest())
PYTHON_END
}

choose_python() {
    local candidate
    if [ -n "${PYTHON:-}" ]; then
        command -v "$PYTHON" >/dev/null ||
            fail "PYTHON=$PYTHON is not a command: give the name or path of a Python 3.10 to 3.13"
        is_right_python "$PYTHON" ||
            fail "PYTHON=$PYTHON is not a Python 3.10 to 3.13 ($("$PYTHON" -V 2>&1 | tail -1)):" \
                "set PYTHON to one that is"
        return
    fi
    for candidate in $venv/bin/python python3.11 python3.12 python3.10 python3.13 python3; do
        if command -v "$candidate" >/dev/null && is_right_python "$candidate"; then
            PYTHON=$candidate
            return
        fi
    done
    fail "no Python 3.10 to 3.13 found: install one (Debian: apt-get install python3-venv" \
        "python3-dev) or set PYTHON to its path"
}

check_compiler() {
    local version answer
    version=$("$PYTHON" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    answer=$("$PYTHON" - <<'PYTHON_END'
import os, shlex, subprocess, sysconfig
compiler = shlex.split(os.environ.get("CXX") or sysconfig.get_config_var("CXX") or "g++")[0]
call = [compiler, "-x", "c++", "-fsyntax-only", "-I", sysconfig.get_path("include"), "-"]
def compiles(source):
    return subprocess.run(call, input=source.encode(), capture_output=True).returncode == 0
try:
    if not compiles("#include <vector>"):
        print("compiler")
    elif not compiles("#include <Python.h>"):
        print("header")
except OSError:
    print("compiler")
PYTHON_END
)
    case $answer in
    compiler)
        fail "no working C++ compiler, which fairseq's extensions need: install one (Debian:" \
            "apt-get install g++) or set CXX to its path"
        ;;
    header)
        fail "Python.h of Python $version is missing, which fairseq's extensions need: install it" \
            "(Debian: apt-get install python$version-dev)"
        ;;
    esac
}

make_venv() {
    "$PYTHON" -c 'import venv, ensurepip' 2>/dev/null ||
        fail "$("$PYTHON" -V) has no venv module: install it (Debian: apt-get install" \
            "$("$PYTHON" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])'))"
    "$PYTHON" -m venv --clear $venv || fail "$PYTHON -m venv failed: see the lines above"
}

install() {
    local python=$venv/bin/python pins
    local pip="$python -m pip --disable-pip-version-check -qq"
    pins=$(mktemp)
    trap "rm -f '$pins'" EXIT
    # pip 24.1 and later refuse the metadata of omegaconf 2.0.6, which fairseq needs
    $pip install pip==24.0 setuptools==84.2.1 wheel==0.48.0
    # torch first: fairseq asks for any torch, and takes the one that is there
    grep -v '^torch==' scripts/pins.txt >"$pins"
    $pip install --constraint scripts/pins.txt "$(grep '^torch==' scripts/pins.txt)" ||
        $pip install --constraint "$pins" 'torch>=2.6,<2.14' ||
        fail "torch cannot be installed: see pip's lines above"
    $pip install --constraint "$pins" fairseq==0.12.2 ||
        fail "fairseq 0.12.2 cannot be built: see pip's lines above"
    $pip install --constraint "$pins" --no-build-isolation --editable '.[test,demo]' ||
        fail "this package cannot be installed: see pip's lines above"
    # fairseq asks for torchaudio and nothing here imports it, but transformers does where it finds
    # it, and the newest does not load beside the newest torch
    $pip uninstall --yes torchaudio
}

choose_python
if [ -x $venv/bin/python ] && [ "$(cat $stamp 2>/dev/null)" = "$(fingerprint "$PYTHON")" ]; then
    exit 0
fi
echo "setting up .venv with $("$PYTHON" -V) (a few minutes the first time) ..." >&2
check_compiler
rm -f $stamp  # first, so that an interrupted set-up is taken up again
base_of() { "$1" -c 'import os, sys; print(os.path.realpath(sys.executable))' 2>/dev/null; }
if [ "$(base_of $venv/bin/python)" != "$(base_of "$PYTHON")" ]; then
    make_venv
fi
install
fingerprint "$PYTHON" >$stamp
