//! Images built of parts read back as those parts, and whatever bytes there are, reading ends with an answer.

use proptest::prelude::*;
use sealstone_store::{Algorithm, verity};

use super::*;

#[path = "../../../../tests/kit/stub.rs"]
mod stub;

const OS: &str = "ID=debian\nVERSION_ID=13\n";

fn build(parts: &UkiParts<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    let size = build_uki(&stub::stub(), parts, |piece| {
        bytes.extend_from_slice(piece);
        Ok(())
    });
    assert_eq!(size.unwrap(), bytes.len() as u64);
    bytes
}

fn image(cmdline: &str) -> Vec<u8> {
    let (linux, initrd) = (vec![1; 5000], vec![2; 3001]);
    let parts = UkiParts {
        os_release: Some(OS),
        cmdline: Some(cmdline),
        uname: Some("6.12.1"),
        linux: Some(&linux),
        initrds: &[&initrd],
        ..UkiParts::default()
    };
    build(&parts)
}

#[test]
fn an_image_reads_back_as_what_it_was_built_of_and_is_the_same_each_time() {
    let bytes = image("quiet ro");
    assert_eq!(bytes, image("quiet ro"));
    let uki = Uki::read(&bytes, "x.efi").unwrap();
    let base = uki.base();
    assert_eq!(base.os_release.as_deref(), Some(OS));
    assert_eq!((base.uname.as_deref(), base.cmdline.as_deref()), (Some("6.12.1"), Some("quiet ro")));
    assert_eq!(base.section(".linux").unwrap().read(&bytes, 10_000).unwrap(), vec![1; 5000]);
    assert_eq!(base.section(".initrd").unwrap().read(&bytes, 10_000).unwrap(), vec![2; 3001]);
    assert_eq!(uki.pe().architecture(), Some("x64"));
    assert!(!uki.pe().has_signatures() && !uki.is_addon() && uki.profiles().is_empty());
    let sbat: Vec<&str> = uki.sbat().unwrap().lines().collect();
    assert_eq!((sbat.len(), sbat[1]), (3, "stub,1,Stub,stub,1,url"));
    assert!(sbat[2].starts_with("uki,1,"));
    let mut hasher = Sha256::new();
    hasher.update(vec![1; 5000]);
    hasher.update(vec![2; 3001]);
    assert_eq!(uki.boot_digest(&bytes).unwrap(), BootDigest::of(hasher.finalize().into()));
}

#[test]
fn several_initramfs_are_put_behind_each_other_at_four_bytes() {
    let (linux, one, two) = (vec![1; 10], vec![2; 5], vec![3; 6]);
    let parts = UkiParts { linux: Some(&linux), initrds: &[&one, &two], ..UkiParts::default() };
    let bytes = build(&parts);
    let uki = Uki::read(&bytes, "x.efi").unwrap();
    let initrd = uki.base().section(".initrd").unwrap().read(&bytes, 100).unwrap();
    // The last as well, as ukify does.
    assert_eq!(initrd, [&[2; 5][..], &[0; 3], &[3; 6], &[0; 2]].concat());
}

#[test]
fn a_stub_whose_headers_are_longer_than_it_is_refused() {
    let mut bytes = stub::stub();
    let optional = Pe::read(&bytes, "stub").unwrap().layout.optional;
    bytes[optional + 60..optional + 64].copy_from_slice(&u32::MAX.to_le_bytes());
    let refused = build_uki(&bytes, &UkiParts { cmdline: Some("quiet"), ..UkiParts::default() }, |_| Ok(()));
    assert!(refused.unwrap_err().to_string().contains("longer than it is"));
}

#[test]
fn an_addon_has_a_command_line_and_no_kernel() {
    let bytes = build(&UkiParts { cmdline: Some("console=ttyS0"), ..UkiParts::default() });
    let addon = Uki::read(&bytes, "x.addon.efi").unwrap();
    assert!(addon.is_addon());
    assert_eq!(addon.kargs().unwrap().to_string(), "console=ttyS0");
    assert!(addon.sbat().unwrap().contains("uki-addon,1,"));
    assert!(addon.boot_digest(&bytes).is_err());
}

#[test]
fn a_command_line_that_names_another_image_is_told_with_both_ids() {
    let (one, two) = (verity::digest(Algorithm::Sha512, b"1"), verity::digest(Algorithm::Sha512, b"2"));
    let (v2, small) = (verity::digest(Algorithm::Sha512, b"v2"), verity::digest(Algorithm::Sha256, b"1"));
    let read = |line: &str| Uki::read(&image(line), "x.efi").unwrap();
    assert_eq!(read(&format!("quiet composefs={one}")).check_image(&[one]).unwrap().image(), &one);
    let both = read(&format!("composefs={v2} composefs.digest=?v1-sha256-12:{small}"));
    assert!(both.check_image(&[small]).unwrap().is_verity_optional());
    assert_eq!(both.check_image(&[one, v2]).unwrap().image(), &v2);
    let wrong = read(&format!("composefs={two}")).check_image(&[one]).unwrap_err();
    let BootError::WrongImage { named, image, .. } = &wrong else { panic!("{wrong}") };
    assert_eq!((named.as_slice(), image), (&[two.to_hex()][..], &one.to_hex()));
    assert!(read("quiet").check_image(&[one]).unwrap_err().to_string().contains("boots no image"));
}

#[test]
fn a_profile_with_a_command_line_of_its_own_must_name_the_image_too() {
    let (one, two) = (verity::digest(Algorithm::Sha512, b"1"), verity::digest(Algorithm::Sha512, b"2"));
    let read = |of_profile: &str| {
        let (linux, base) = (vec![1; 10], format!("composefs={one}"));
        let others = [(".profile", "ID=factory-reset"), (".cmdline", of_profile)];
        let others =
            others.map(|(name, text)| NewSection { name, content: SectionContent::Bytes(text.as_bytes()) });
        let parts =
            UkiParts { cmdline: Some(&base), linux: Some(&linux), others: &others, ..UkiParts::default() };
        Uki::read(&build(&parts), "x.efi").unwrap()
    };
    let same = read(&format!("composefs={one} reset"));
    assert_eq!(same.profiles()[0].profile.as_deref(), Some("ID=factory-reset"));
    assert!(same.check_image(&[one]).is_ok());
    assert!(read(&format!("composefs={two}")).check_image(&[one]).is_err());
    assert!(read("reset").check_image(&[one]).is_err());
}

#[test]
fn a_section_twice_one_beyond_the_end_and_two_on_one_address_are_refused() {
    let twice = stub::pe(&[(".linux", b"k", 0x20), (".cmdline", b"a", 0x40), (".cmdline", b"b", 0x40)]);
    assert!(Uki::read(&twice, "x").unwrap_err().to_string().contains("two sections .cmdline"));
    let bytes = image("quiet");
    let cut = &bytes[..bytes.len() - 0x400];
    assert!(Pe::read(&cut, "x").unwrap_err().to_string().contains("beyond its end"));
    let mut overlapping = stub::pe(&[(".linux", b"k", 0x20), (".cmdline", b"a", 0x40)]);
    let second = 0x98 + 240 + 40;
    overlapping[second + 12..second + 16].copy_from_slice(&0x1000_u32.to_le_bytes());
    assert!(Pe::read(&overlapping, "x").unwrap_err().to_string().contains("overlap"));
    for bytes in [&b""[..], b"MZ", &[0; 64], &stub::stub()[..200]] {
        assert!(Pe::read(&bytes, "x").is_err());
    }
}

#[test]
fn a_stub_without_room_for_more_headers_is_refused() {
    let names: Vec<String> = (0..92).map(|number| format!(".s{number}")).collect();
    let sections: Vec<(&str, &[u8], u32)> =
        names.iter().map(|name| (name.as_str(), &b"x"[..], 0x40)).collect();
    let linux = vec![1; 10];
    let parts = UkiParts { linux: Some(&linux), ..UkiParts::default() };
    let refused = build_uki(&stub::pe(&sections), &parts, |_| Ok(()));
    assert!(refused.unwrap_err().to_string().contains("room"));
}

proptest! {
    #[test]
    fn any_change_of_a_byte_gives_an_answer(changes in proptest::collection::vec((0..0x1000_usize, any::<u8>()), 1..8)) {
        let mut bytes = image("quiet");
        for (at, byte) in changes {
            // The headers are in the first part of those.
            bytes[at % 0x300] = byte;
        }
        if let Ok(uki) = Uki::read(&bytes, "x.efi") {
            let _ = uki.boot_digest(&bytes);
            let _ = uki.kargs();
            for section in uki.pe().sections() {
                // A section without bytes may say that they are anywhere.
                let is_inside = section.offset() + section.size() <= bytes.len() as u64;
                prop_assert!(section.size() == 0 || is_inside);
            }
        }
    }

    #[test]
    fn any_parts_come_back(
        osrel in "[ -~]{1,300}", cmdline in "[!-~]{1,40}( [!-~]{1,40}){0,3}",
        linux in proptest::collection::vec(any::<u8>(), 1..3000), initrd in proptest::collection::vec(any::<u8>(), 1..3000),
    ) {
        let parts = UkiParts {
            os_release: Some(&osrel), cmdline: Some(&cmdline), linux: Some(&linux), initrds: &[&initrd],
            ..UkiParts::default()
        };
        let bytes = build(&parts);
        let uki = Uki::read(&bytes, "x.efi").unwrap();
        prop_assert_eq!(uki.base().os_release.as_ref(), Some(&osrel));
        prop_assert_eq!(uki.base().cmdline.as_ref(), Some(&cmdline));
        prop_assert_eq!(uki.base().section(".linux").unwrap().read(&bytes, 1 << 20).unwrap(), linux);
        prop_assert_eq!(uki.base().section(".initrd").unwrap().read(&bytes, 1 << 20).unwrap(), initrd);
    }
}
