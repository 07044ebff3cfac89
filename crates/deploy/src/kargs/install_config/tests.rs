//! Tests of the install configuration: every key, files over files, and what is told of wrong ones.

use super::*;

fn amd64() -> Architecture {
    Architecture::of(&"linux/amd64".parse().unwrap())
}

/// All files laid over each other, and the warnings as text.
fn read(files: &[(&str, &str)]) -> Result<(InstallConfig, Vec<String>), DeployError> {
    let (mut config, mut warnings) = (InstallConfig::default(), Vec::new());
    for (name, text) in files {
        config.overlay(name, text.as_bytes(), Some(&amd64()), &mut warnings)?;
    }
    Ok((config, warnings.iter().map(ToString::to_string).collect()))
}

#[test]
fn every_key_of_the_table_is_read() {
    let text = r#"
        [install]
        root-fs-type = "ext4"
        block = ["tpm2-luks", "direct"]
        kargs = ["ro console=ttyS0"]
        karg-deletes = ["quiet", "console=tty0"]
        match-architectures = ["x86_64"]
        stateroot = "default"
        root-mount-spec = ""
        boot-mount-spec = "UUID=1"
        bootloader = "grub-cc"
        discoverable-partitions = false
        enforce-container-sigpolicy = true
        [install.filesystem.root]
        type = "btrfs"
        [install.ostree]
        bls-append-except-default = 'grub_users=""'
        [install.bootupd]
        skip-boot-uuid = true
    "#;
    let (config, warnings) = read(&[("a.toml", text)]).unwrap();
    assert_eq!(warnings, Vec::<String>::new());
    assert_eq!(config.file_system(), Some(RootFileSystem::Btrfs));
    assert_eq!(config.block, [BlockSetup::Tpm2Luks, BlockSetup::Direct]);
    let kargs: Vec<String> = config.kargs.iter().map(|recorded| recorded.karg.to_string()).collect();
    assert_eq!(kargs, ["ro", "console=ttyS0"]);
    assert_eq!(config.kargs[0].origin, KargOrigin::Install { file: "a.toml".into() });
    assert_eq!(config.karg_deletes, ["quiet", "console=tty0"].map(|text| text.parse::<Karg>().unwrap()));
    assert_eq!(config.stateroot.as_deref(), Some("default"));
    assert_eq!(config.root_mount_spec.as_deref(), Some(""));
    assert_eq!(config.boot_mount_spec.as_deref(), Some("UUID=1"));
    assert_eq!(config.bootloader, Some(Bootloader::GrubCc));
    assert_eq!(config.discoverable_partitions, Some(false));
    assert_eq!(config.enforce_container_sigpolicy, Some(true));
    assert_eq!(config.bls_append_except_default.as_deref(), Some("grub_users=\"\""));
    assert_eq!(config.skip_boot_uuid, Some(true));
}

#[test]
fn arguments_append_and_the_last_word_on_anything_else_wins() {
    let first = "[install]\nkargs = ['a']\nkarg-deletes = ['x']\nbootloader = 'grub'\nblock = ['direct']\n";
    let second =
        "[install]\nkargs = ['b']\nkarg-deletes = ['y']\nbootloader = 'systemd'\nblock = ['tpm2-luks']\n";
    let (config, _) = read(&[("1.toml", first), ("2.toml", second)]).unwrap();
    let kargs: Vec<&str> = config.kargs.iter().map(|recorded| recorded.karg.as_str()).collect();
    assert_eq!(kargs, ["a", "b"]);
    assert_eq!(config.karg_deletes.len(), 2);
    assert_eq!(config.bootloader, Some(Bootloader::Systemd));
    assert_eq!(config.block, [BlockSetup::Tpm2Luks]);
}

#[test]
fn the_newer_key_for_the_file_system_wins_over_a_later_older_one() {
    let newer = ("1.toml", "[install.filesystem.root]\ntype = 'xfs'\n");
    let older = ("2.toml", "[install]\nroot-fs-type = 'ext4'\n");
    assert_eq!(read(&[newer, older]).unwrap().0.file_system(), Some(RootFileSystem::Xfs));
    assert_eq!(read(&[older]).unwrap().0.file_system(), Some(RootFileSystem::Ext4));
}

#[test]
fn a_file_for_another_architecture_says_nothing_wherever_the_filter_stands() {
    let text = "[install]\nkargs = ['a']\nbootloader = 'grub'\nmatch-architectures = ['aarch64']\n";
    assert_eq!(read(&[("a.toml", text)]).unwrap().0, InstallConfig::default());
}

#[test]
fn unknown_keys_at_every_depth_are_warned_about_and_ignored() {
    let text = "[other]\n[install]\nnew = 1\n[install.filesystem]\nboot = 1\n[install.filesystem.root]\nsize = 1\n\
        [install.ostree]\nx = 1\n[install.bootupd]\ny = 1\n";
    let (config, mut warnings) = read(&[("a.toml", text)]).unwrap();
    assert_eq!(config, InstallConfig::default());
    warnings.sort();
    let said = |line: u32, key: &str| format!("a.toml: line {line}: the key {key:?} is unknown, and ignored");
    let mut expected = [
        said(1, "other"),
        said(3, "install.new"),
        said(5, "install.filesystem.boot"),
        said(7, "install.filesystem.root.size"),
        said(9, "install.ostree.x"),
        said(11, "install.bootupd.y"),
    ];
    expected.sort();
    assert_eq!(warnings, expected);
}

#[test]
fn a_wrong_value_is_told_with_its_line_and_what_it_should_be() {
    for (text, line, part) in [
        ("[install]\nbootloader = 'lilo'\n", 2, "one of grub, grub-cc, systemd, none"),
        ("[install]\nblock = ['direct',\n'zfs']\n", 3, "one of direct, tpm2-luks"),
        ("[install.filesystem.root]\ntype = 'zfs'\n", 2, "one of xfs, ext4, btrfs"),
        ("[install]\n\nstateroot = true\n", 3, "stateroot is boolean, and should be a string"),
        ("[install]\nbootupd = 1\n", 2, "a table"),
        ("install = 1\n", 1, "a table"),
        ("[install\n", 1, ""),
    ] {
        let Err(DeployError::ImageFile { line: found, reason, .. }) = read(&[("a.toml", text)]) else {
            panic!("{text:?} is taken")
        };
        assert_eq!(found, line, "{text:?}: {reason}");
        assert!(reason.contains(part), "{text:?}: {reason}");
    }
}
