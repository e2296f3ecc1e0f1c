#!/usr/bin/env bash
# test_browser.sh PYTHON [PICTURE.png]: opens the page of `logitmeter finetune explain --html` in a
# headless Chromium, without a network. As root on Debian the browser is installed; elsewhere it must be there.
set -euo pipefail
cd "$(dirname "$0")/.."
source tools/debian.sh
python=$1

if ! command -v chromium > /dev/null; then
    debian_or_die browser chromium
    debian_install chromium
fi

LOGITMETER_CHROMIUM=$(command -v chromium) LOGITMETER_PICTURE=${2:-} \
    "$python" -m pytest -m browser tests/with_browser
