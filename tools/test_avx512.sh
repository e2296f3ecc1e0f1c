#!/usr/bin/env bash
# test_avx512.sh [--if-ready] [test filter...]: the kernel's tests, and the digests of states, on an
# emulated processor that has AVX-512, for machines whose own has not. Boots a small system in Bochs
# (qemu cannot emulate AVX-512) that runs the test binary and powers off: half a minute, and then two
# hundred times as long as natively. On a machine with AVX-512, `cargo test` runs that tier already.
#
# What is missing is installed where this runs as root on Debian; elsewhere the message says what.
# With --if-ready nothing is installed, and a machine without them says so and goes on.
set -euo pipefail
cd "$(dirname "$0")/.."
source tools/debian.sh

limit=1500
packages=(bochs bochs-term bochsbios vgabios xorriso)
# Unpacked below $place and not installed: a kernel, its boot loader, and a shell.
unpacked=(linux-image-cloud-amd64 isolinux syslinux-common busybox-static)
place=$PWD/target/emulated/avx512

ready() {
    command -v bochs > /dev/null && command -v xorriso > /dev/null \
        && [ -e /usr/share/bochs/BIOS-bochs-latest ] && [ -e "$place/unpacked/done" ]
}

# Each step asks for the one before: `set -e` is off in what is called with `||` behind it.
download() {
    local kernel package
    rm -rf "$place" && mkdir -p "$place/unpacked" || return
    kernel=$(apt-cache depends "${unpacked[0]}" | sed -n 's/.*Depends: \(linux-image-.*\)/\1/p' | head -n 1)
    (cd "$place" && quietly apt-get download "$kernel" "${unpacked[@]:1}") || return
    for package in "$place"/*.deb; do
        dpkg-deb --extract "$package" "$place/unpacked" && rm "$package" || return
    done
    touch "$place/unpacked/done"
}

if grep -qw avx512vl /proc/cpuinfo; then
    echo "avx512: this machine has it: cargo test runs that tier"
    exit 0
fi
if_ready=
if [ "${1:-}" = --if-ready ]; then
    if_ready=yes
    shift
fi
if ! ready; then
    if [ "$if_ready" ]; then
        echo "avx512: NOT RUN under emulation (make test-avx512-emulated)"
        exit 0
    fi
    debian_or_die avx512 "${packages[@]}" "${unpacked[@]}"
    debian_install "${packages[@]}"
    download || exit "$not_run"
fi

# ---- the system: an initial RAM disk with the test binary, its libraries and a shell -------------

test=$(cargo test ${CI:+--locked} --lib --no-run --message-format=json \
    | sed -n 's/.*"executable":"\([^"]*\)".*/\1/p')
[ -x "$test" ] || { echo "avx512: cargo built no test binary" >&2; exit 1; }

root=$place/root iso=$place/iso
rm -rf "$root" "$iso"
mkdir -p "$root"/{bin,dev,proc,tmp} "$iso"
cp "$place/unpacked/bin/busybox" "$root/bin/"
strip -o "$root/test" "$test"
ldd "$test" | grep -o '/[^ ]*' | while read -r library; do
    mkdir -p "$root$(dirname "$library")"
    cp -L "$library" "$root$library"
done
cat > "$root/init" <<END
#!/bin/busybox sh
busybox() { /bin/busybox "\$@"; }
busybox mount -t proc none /proc
busybox mount -t devtmpfs none /dev
export LOGITMETER_ISA=avx512 LOGITMETER_REQUIRE_ISA=avx512 PROPTEST_CASES=${PROPTEST_CASES:-32}
/test --test-threads=1 ${*:-kernel:: meter::tests}
echo "avx512: exit status \$?"
busybox sleep 1 # until the serial port has sent it
busybox poweroff -f
END
chmod +x "$root/init"
(cd "$root" && find . | "$place/unpacked/bin/busybox" cpio -o -H newc 2> /dev/null | gzip -1) > "$iso/initrd.gz"

cp "$place"/unpacked/boot/vmlinuz-* "$iso/vmlinuz"
cp "$place/unpacked/usr/lib/ISOLINUX/isolinux.bin" \
    "$place/unpacked/usr/lib/syslinux/modules/bios/ldlinux.c32" "$iso/"
# Bochs states a wrong size for the compacted XSAVE area, upon which Linux would turn AVX off.
cat > "$iso/isolinux.cfg" <<'END'
DEFAULT test
PROMPT 0
LABEL test
KERNEL vmlinuz
APPEND initrd=initrd.gz console=ttyS0 quiet loglevel=1 clearcpuid=xsaves,xsavec mitigations=off nosmp panic=-1 tsc=reliable 8250.nr_uarts=1
END
xorriso -as mkisofs -quiet -o "$place/disk.iso" -b isolinux.bin -c boot.cat \
    -no-emul-boot -boot-load-size 4 -boot-info-table "$iso" 2> /dev/null

# ---- the machine: what the serial port prints is the result --------------------------------------

serial=$place/serial.txt
cat > "$place/bochsrc" <<END
cpu: model=corei7_skylake_x, count=1, ips=100000000, reset_on_triple_fault=0
megs: 1024
romimage: file=/usr/share/bochs/BIOS-bochs-latest
vgaromimage: file=/usr/share/bochs/VGABIOS-lgpl-latest
ata0-master: type=cdrom, path=$place/disk.iso, status=inserted
boot: cdrom
com1: enabled=1, mode=file, dev=$serial
log: $place/bochs.txt
display_library: term
speaker: enabled=0
sound: waveoutdrv=dummy, waveindrv=dummy, midioutdrv=dummy
clock: sync=none
panic: action=fatal
END
echo continue > "$place/commands" # Debian's Bochs starts in its debugger
rm -f "$serial"
echo "avx512: $(basename "$test") on an emulated Skylake-X, ${limit} s at most"
# Its display wants a terminal, and one that is read to the end: `script` was seen to stop reading once
# its own input had ended, upon which Bochs waited for ever.
TERM=xterm timeout --foreground "$limit" \
    python3 -c 'import pty, sys; pty.spawn(sys.argv[1:])' bochs -q -f "$place/bochsrc" -rc "$place/commands" \
    < /dev/null > "$place/terminal.txt" 2>&1 || true

tr -d '\r' < "$serial" | sed -n '/^running /,/^avx512: /p'
if ! grep -q '^avx512: exit status' "$serial"; then
    echo "avx512: NOT RUN: the emulated machine came to no end within $limit s (see $place)" >&2
    exit "$not_run"
fi
grep -q '^avx512: exit status 0' "$serial" || { echo "avx512: FAILED (see $place)" >&2; exit 1; }
