#!/usr/bin/env bash
# test_torch.sh WHEEL: the tests that need a real torch, with Debian's python3-torch, which needs
# no accelerator libraries beside it. As root on Debian it is installed; elsewhere it must be there.
set -euo pipefail
cd "$(dirname "$0")/.."
source tools/debian.sh
wheel=$1 python=/usr/bin/python3
packages=(python3-torch python3-venv)

if ! "$python" -c 'import ensurepip, torch' 2> /dev/null; then
    debian_or_die torch "${packages[@]}"
    debian_install "${packages[@]}"
fi

place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
"$python" -m venv --system-site-packages "$place/venv"
pip=("$place/venv/bin/python" -m pip install --quiet --disable-pip-version-check)
"${pip[@]}" 'pip>=25.1'
# That torch was built against NumPy 1, which newer pyarrows refuse without saying so to pip.
"${pip[@]}" "$wheel" 'numpy>=1.26,<2' 'pyarrow>=16,<22' --group test
"$place/venv/bin/python" -c 'import numpy, torch; print("torch", torch.__version__, "numpy", numpy.__version__)'
"$place/venv/bin/python" -m pytest -m torch tests/with_torch
