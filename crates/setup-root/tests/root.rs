//! The program on real mounts: what becomes of `/sysroot`, `/etc` and `/var` by arguments and configuration. Needs root;
//! runs on any kernel that mounts images, and in the guest of `make test-vm`.
#![allow(clippy::disallowed_methods, reason = "a test, with ordinary files")]
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test"
)]

mod kit;

use kit::{Machine, can_mount, large};
use sealstone_store::{Algorithm, Verity};

const CONF: &str = "usr/lib/composefs/setup-root-conf.toml";

fn machine(test: &str) -> Option<Machine> {
    can_mount(test).then(|| Machine::new(Algorithm::Sha512, Verity::Computed))
}

/// Shows what a booted system would see. The last fields of mountinfo are those of the file system.
const LOOK: &str = r#"
boot
cat $S/usr/name $S/etc/of-* ; echo
echo "object: $(wc -c < $S/usr/object)"
grep -F " $S " /proc/self/mountinfo | tail -n 1 | sed 's/.* \(r[ow]\)[, ].* - \([a-z]*\) \([^ ]*\) .*/root: \1 \2 \3/'
"#;

#[test]
fn bootcs_layout_boots_with_etc_and_var_of_the_deployment() {
    let Some(machine) = machine("bootcs_layout_boots_with_etc_and_var_of_the_deployment") else { return };
    let (one, two) = (machine.deployment("one"), machine.deployment("two"));
    for (image, name) in [(one, "one"), (two, "two")] {
        let script = format!(
            "{LOOK}\necho changed > $S/etc/new-{name}; echo kept > $S/var/lib/new-{name}\n\
             ls $S/sysroot/state/deploy | wc -l\n! echo x > $S/usr/new\n! echo x > $S/sysroot/new\n\
             ls /run/store-setup-root 2>/dev/null && exit 9; test $(grep -c store-setup-root /proc/self/mountinfo) = 0\n"
        );
        let seen = machine.run(&format!("rw composefs=?{image}"), &script).succeeds();
        let wanted =
            format!("{name}{image}\nobject: {}\nroot: ro overlay composefs:{image}\n2\n", large().len());
        assert_eq!(seen, wanted);
        let state = format!("physical/state/deploy/{image}/etc/new-{name}");
        assert_eq!(machine.read(&state).as_deref(), Some("changed\n"));
        let var = format!("physical/state/os/default/var/lib/new-{name}");
        assert_eq!(machine.read(&var).as_deref(), Some("kept\n"));
    }
    assert!(!machine.path("physical/usr").exists(), "nothing else is written");
}

#[test]
fn both_algorithms_and_both_spellings_name_an_image() {
    if !can_mount("both_algorithms_and_both_spellings_name_an_image") {
        return;
    }
    for (algorithm, name) in [(Algorithm::Sha256, "sha256"), (Algorithm::Sha512, "sha512")] {
        let machine = Machine::new(algorithm, Verity::Computed);
        let image = machine.deployment("one");
        for argument in [
            format!("composefs=?{image}"),
            format!("composefs.digest=?v1-{name}-12:{image}"),
            // Others before it that are not there, or not known.
            format!(
                "composefs.digest=v7-{name}-12:00 composefs.digest=?v2-sha512-12:{} composefs=?{image}",
                "0".repeat(128)
            ),
        ] {
            let seen = machine.run(&argument, LOOK).succeeds();
            assert!(seen.ends_with(&format!("root: ro overlay composefs:{image}\n")), "{argument}: {seen}");
        }
    }
}

#[test]
fn a_second_deployment_of_one_image_has_its_own_state() {
    let Some(machine) = machine("a_second_deployment_of_one_image_has_its_own_state") else { return };
    let image = machine.deployment("one");
    machine.state(&format!("{image}.1"));
    let seen = machine.run(&format!("composefs=?{image} composefs.state={image}.1"), LOOK).succeeds();
    assert!(seen.starts_with(&format!("one{image}.1\n")), "{seen}");
}

/// Boots a configuration and says what `/etc` shows and what is kept of what is written, in the state and in memory.
fn kept_with(machine: &Machine, conf: &str, more: &str) -> String {
    let image = machine.image(conf, &[(CONF, conf)]);
    machine.state(&image.to_hex());
    let script = "boot; ls $S/etc; \
        for place in etc/new var/new new; do echo x 2>/dev/null > $S/$place && echo $place || true; done\n\
        stat -c '%a %u %g' $S/etc\n";
    let seen = machine.run(&format!("composefs=?{image} {more}"), script).succeeds();
    let state = machine.path(&format!("physical/state/deploy/{image}"));
    let var = machine.path("physical/state/os/default/var");
    let mut kept = String::new();
    for (path, name) in [
        (state.join("etc/new"), "etc"),
        (state.join("etc/upper/new"), "etc/upper"),
        (var.join("new"), "var"),
        (var.join("upper/new"), "var/upper"),
    ] {
        if std::fs::remove_file(path).is_ok() {
            kept = format!("{kept} {name}");
        }
    }
    format!("{} kept:{kept}", seen.replace('\n', " ").trim())
}

#[test]
fn each_way_to_have_etc_and_var_keeps_what_it_promises() {
    let Some(machine) = machine("each_way_to_have_etc_and_var_keeps_what_it_promises") else { return };
    for (conf, more, wanted) in [
        ("# defaults", "", "of-state etc/new var/new 755 0 0 kept: etc var"),
        ("etc.mount = 'none'\nvar.mount = 'none'", "", "of-image 751 7 8 kept:"),
        ("etc.mount = 'overlay'", "", "of-image etc/new var/new 751 7 8 kept: etc/upper var"),
        ("etc.mount = 'transient'", "", "of-image etc/new var/new 751 7 8 kept: var"),
        ("var.mount = 'overlay'", "", "of-state etc/new var/new 755 0 0 kept: etc var/upper"),
        ("var.transient = true", "", "of-state etc/new var/new 755 0 0 kept: etc"),
        ("", "systemd.volatile=state", "of-state etc/new 755 0 0 kept: etc"),
        ("root.transient = true", "", "of-state etc/new var/new new 755 0 0 kept: etc var"),
        (
            "root.transient = true\netc.mount = 'root'\nvar.mount = 'root'",
            "",
            "of-image etc/new var/new new 751 7 8 kept:",
        ),
        (
            "root.transient = true\netc.mount = 'overlay'",
            "",
            "of-image etc/new var/new new 751 7 8 kept: etc/upper var",
        ),
        (
            "root.transient = true\netc.mount = 'transient'",
            "",
            "of-image etc/new var/new new 751 7 8 kept: var",
        ),
    ] {
        assert_eq!(kept_with(&machine, conf, more), wanted, "{conf} {more}");
    }
}

#[test]
fn a_transient_root_is_known_by_its_source_and_can_begin_read_only() {
    let Some(machine) = machine("a_transient_root_is_known_by_its_source_and_can_begin_read_only") else {
        return;
    };
    let image = machine.image("one", &[("usr/lib/ostree/prepare-root.conf", "[root]\ntransient-ro=true\n")]);
    machine.state(&image.to_hex());
    let script = format!("{LOOK}! echo x > $S/new\nmount -o remount,bind,rw $S\necho x > $S/new");
    let seen = machine.run(&format!("composefs=?{image}"), &script).succeeds();
    assert!(seen.ends_with(&format!("root: ro overlay transient:composefs={image}\n")), "{seen}");
}

#[test]
fn an_initramfs_configuration_goes_before_the_images() {
    let Some(machine) = machine("an_initramfs_configuration_goes_before_the_images") else { return };
    let image = machine.image("one", &[(CONF, "etc.mount = 'none'")]);
    machine.state(&image.to_hex());
    let initramfs = machine.path("initramfs/usr/lib/composefs");
    std::fs::create_dir_all(&initramfs).unwrap();
    std::fs::write(initramfs.join("setup-root-conf.toml"), "etc.mount = 'bind'").unwrap();
    let arguments = format!("composefs=?{image}");
    let of_image = machine.run(&arguments, "boot; ls $S/etc").succeeds();
    let of_initramfs = machine
        .run_with(&format!("--config {}", machine.path("initramfs").display()), &arguments, "boot; ls $S/etc")
        .succeeds();
    assert_eq!((of_image.as_str(), of_initramfs.as_str()), ("of-image\n", "of-state\n"));
}

#[test]
fn a_soft_reboot_prepares_the_next_root_beside_the_running_one() {
    let Some(machine) = machine("a_soft_reboot_prepares_the_next_root_beside_the_running_one") else {
        return;
    };
    let (one, two) = (machine.deployment("one"), machine.deployment("two"));
    let next = format!(
        "boot\nmount -t tmpfs old /run/none 2>/dev/null || mkdir /run/nextroot && mount -t tmpfs old /run/nextroot\n\
         {} --sysroot $S/sysroot --target /run/nextroot --cmdline 'composefs=?{two}'\n\
         cat $S/usr/name /run/nextroot/usr/name /run/nextroot/etc/of-state; echo\n\
         touch $S/sysroot/mine 2>/dev/null || echo read-only here\n\
         touch /run/nextroot/sysroot/mine 2>/dev/null || echo and there\n\
         echo mine > /run/nextroot/etc/written && cat $S/sysroot/state/deploy/{two}/etc/written\n\
         ls /run/nextroot/sysroot/state/deploy | wc -l\ngrep -c ' /run/nextroot ' /proc/self/mountinfo\n",
        env!("CARGO_BIN_EXE_store-setup-root")
    );
    let seen = machine.run(&format!("composefs=?{one}"), &next).succeeds();
    assert_eq!(seen, format!("onetwo{two}\nread-only here\nand there\nmine\n2\n1\n"));
}

#[test]
fn an_image_without_a_folder_for_the_physical_root_boots_with_a_warning() {
    let Some(machine) = machine("an_image_without_a_folder_for_the_physical_root_boots_with_a_warning")
    else {
        return;
    };
    let image = machine.image_with("one", &["etc", "var"], &[]);
    machine.state(&image.to_hex());
    let outcome = machine.run(&format!("composefs=?{image}"), LOOK);
    assert!(outcome.stderr.contains("no folder /sysroot"), "{outcome:?}");
    outcome.succeeds();
}

#[test]
fn a_physical_root_that_is_read_only_is_said() {
    let Some(machine) = machine("a_physical_root_that_is_read_only_is_said") else { return };
    let image = machine.deployment("one");
    let outcome = machine.run(&format!("ro composefs=?{image}"), "mount -o remount,bind,ro $S\nboot\n");
    assert!(outcome.stderr.contains("the argument rw is missing"), "{outcome:?}");
    outcome.succeeds();
}
