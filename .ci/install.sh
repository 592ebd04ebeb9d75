#!/bin/sh
# install.sh REQUIREMENT STAMP...: fill .venv with the pinned dependencies, then make the stamps.
set -eu
requirement=$1
shift
unfinished=.venv/unfinished

fail() {
    echo "galaxy_explorer: $*" >&2
    exit 1
}

supported() {
    "$1" -c 'import sys, venv; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null
}

find_python() {
    for name in ${PYTHON:-python3 python3.13 python3.12 python3.11 python}; do
        if supported "$name"; then
            echo "$name"
            return
        fi
    done
    fail "Python 3.11, 3.12 or 3.13 is needed; ${PYTHON:-python3} is" \
        "$("${PYTHON:-python3}" --version 2>&1 | tail -n 1)." \
        "Install one, or name it: make app PYTHON=/path/to/python3.12"
}

# Some Linux distributions leave ensurepip out; pip itself then fills the environment.
make_venv() {
    "$1" -m venv .venv >/dev/null 2>&1 && return
    "$1" -m venv --without-pip .venv &&
        "$1" -m pip --python .venv/bin/python install pip ||
        fail "$1 could not make .venv: its venv or pip module is missing (Debian: python3-venv)"
}

# What an interrupted installation left behind may look whole and is not.
[ ! -e $unfinished ] || rm -rf .venv
if [ ! -x .venv/bin/python ]; then
    python=$(find_python)
    rm -rf .venv
    mkdir .venv
    touch $unfinished
    echo "galaxy_explorer: installing into .venv with $("$python" --version); once, some minutes"
    make_venv "$python"
fi
touch $unfinished
rm -f .venv/ready-*
# NVIDIA's libraries are larger than all the rest: not where there is no such card, if it is said
# where the CPU build is (docs/install.md).
if [ -n "${TORCH_CPU_INDEX:-}" ] && ! nvidia-smi >/dev/null 2>&1; then
    echo "galaxy_explorer: no NVIDIA card: the CPU build of PyTorch"
    .venv/bin/python -m pip install -c constraints.txt --index-url "$TORCH_CPU_INDEX" torch ||
        fail "TORCH_CPU_INDEX=$TORCH_CPU_INDEX gave no torch (pip says why above)"
fi
.venv/bin/python -m pip install -c constraints.txt -e "$requirement" ||
    fail "the installation failed (pip says why above); run the same command again to try anew"
# Libraries carry templates that are no Python and do not compile: not an error.
.venv/bin/python -m compileall -q .venv/lib galaxy_explorer >/dev/null || true
for stamp in "$@"; do
    touch "$stamp"
done
rm $unfinished
