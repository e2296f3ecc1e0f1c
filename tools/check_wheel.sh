#!/usr/bin/env bash
# check_wheel.sh PYTHON WHEEL: installs the wheel as a user would, in an environment of its own
# outside the repository, and runs check_wheel.py there.
set -euo pipefail
python=$1 wheel=$(realpath "$2") here=$(realpath "$(dirname "$0")")

place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
"$python" "$here/check_python.py"
"$python" -m venv "$place/venv"
"$place/venv/bin/python" -m pip install --quiet --disable-pip-version-check "$wheel"

cp "$here/check_wheel.py" "$place/"
cd "$place"
unset PYTHONPATH
venv/bin/python -P check_wheel.py
venv/bin/logitmeter --help > /dev/null
echo "wheel-check: $(basename "$wheel"), $(du -k "$wheel" | cut -f1) KiB: installs, imports light, evaluates, has its command"
