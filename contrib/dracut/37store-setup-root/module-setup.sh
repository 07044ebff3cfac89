#!/bin/bash
# dracut: store-setup-root in an initramfs with systemd. Only where it is asked for:
#   add_dracutmodules+=" store-setup-root "
# The unit is contrib/systemd/store-setup-root.service, installed as a unit of the system.

check() {
    require_binaries store-setup-root || return 1
    return 255
}

depends() {
    echo systemd
}

installkernel() {
    # loop: for kernels before 6.12, whose EROFS reads no files. For any machine that boots this image, so not hostonly.
    hostonly='' instmods erofs overlay loop
}

install() {
    local file unit=store-setup-root.service
    inst_multiple store-setup-root
    # shellcheck disable=SC2154 # set by dracut
    inst_simple "$systemdsystemunitdir/$unit"
    $SYSTEMCTL -q --root "$initdir" add-requires initrd-root-fs.target "$unit"
    for file in /usr/lib/composefs/setup-root-conf.toml /usr/lib/ostree/prepare-root.conf; do
        # shellcheck disable=SC2154 # set by dracut
        if [[ -e $dracutsysrootdir$file ]]; then inst_simple "$file"; fi
    done
    # bootc's own program would find the work done, and fail.
    if [[ -e $initdir$systemdsystemunitdir/bootc-root-setup.service ]]; then
        $SYSTEMCTL -q --root "$initdir" mask bootc-root-setup.service
    fi
}
