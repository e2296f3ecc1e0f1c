#!/usr/bin/env bash
# install_peers.sh [debian|pypi]: an environment of their own for the peers that the package's cannot
# hold, .venv-peers, in which benches/worker.py runs them.
#
# debian (the default): Debian's python3-torch, 150 MB, for the processor alone; an older torch, without
# torch.compile. Installed where this runs as root on Debian; elsewhere it must be there.
# pypi: the current torch, which brings 5 GB of CUDA libraries along. It has torch.compile.
set -euo pipefail
cd "$(dirname "$0")/.."
source tools/debian.sh
place=.venv-peers
torch=${1:-debian}
PYTHON=${PYTHON:-python3}

case $torch in
    debian)
        packages=(g++ python3-numpy python3-torch python3-venv)
        if ! /usr/bin/python3 -c 'import ensurepip, numpy, torch' 2> /dev/null; then
            debian_or_die torch "${packages[@]}"
            debian_install "${packages[@]}"
        fi
        /usr/bin/python3 -m venv --clear --system-site-packages "$place"
        ;;
    pypi)
        "$PYTHON" -m venv --clear "$place"
        "$place/bin/python" -m pip install --quiet --disable-pip-version-check torch numpy
        ;;
    *)
        echo "install_peers.sh: $torch is neither debian nor pypi" >&2
        exit 2
        ;;
esac
"$place/bin/python" -c 'import numpy, torch; print("peers: torch", torch.__version__, "numpy", numpy.__version__)'
