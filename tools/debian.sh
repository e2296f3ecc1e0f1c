# Sourced by the scripts whose test needs an emulator or a peer from Debian.

# What a script ends with where it cannot test at all, which is neither passed nor failed: the
# packages cannot be had here, or the emulator did not come to an end.
not_run=75

# debian_or_die WHAT PACKAGE...: ends the script unless packages can be installed here.
debian_or_die() {
    local what=$1
    shift
    if [ "$(id -u)" != 0 ] || ! command -v apt-get > /dev/null; then
        echo "$what: needs what Debian has as: $*" >&2
        echo "$what: they are installed where this runs as root on Debian; here they must be there" >&2
        exit "$not_run"
    fi
}

# quietly COMMAND...: its output only if it fails. Tried again, because a package index that is
# being renewed fails once and works a moment later.
quietly() {
    local log try
    log=$(mktemp)
    for try in 1 2 3; do
        if "$@" > "$log" 2>&1; then
            rm -f "$log"
            return 0
        fi
        sleep $((try * 3))
    done
    tail -n 30 "$log" >&2
    rm -f "$log"
    return 1
}

debian_install() {
    export DEBIAN_FRONTEND=noninteractive
    quietly apt-get update && quietly apt-get install -y --no-install-recommends "$@" || exit "$not_run"
}
