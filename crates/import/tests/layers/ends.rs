//! How tars end, and what may follow.

use sealstone_import::Limits;
use sealstone_import::tar::{Item, Reader, Reason, Strictness, Warning};

use crate::kit::{Header, Tar, paths, read_chunks, read_with, refusal, warnings};

#[test]
fn truncated_content_is_refused() {
    let tar = Tar::new().file("a", &[1; 1000]).0;
    for (len, inside) in [(300, "a header"), (512, "a file's body"), (1511, "a file's body")] {
        assert_eq!(refusal(&tar[..len]), Reason::Truncated(inside), "{len}");
    }
    let tar = Tar::new().pax(&[("path", b"b")]).file("a", b"").0;
    assert_eq!(refusal(&tar[..515]), Reason::Truncated("an extended header"));
}

#[test]
fn a_tar_may_end_without_its_last_padding() {
    // `umoci insert` writes such layers.
    let tar = Tar::new().file("a", b"").file("b", &[1; 1000]).0;
    for len in [2024, 2025, 2047] {
        assert_eq!(paths(&tar[..len]), ["a", "b"], "{len}");
    }
}

#[test]
fn a_tar_may_end_without_zero_blocks() {
    assert_eq!(paths(&Tar::new().file("a", b"x").0), ["a"]);
    assert_eq!(paths(&[]), [""; 0]);
}

#[test]
fn a_tar_may_end_with_one_zero_block() {
    assert_eq!(paths(&Tar::new().file("a", b"x").zeros(1).0), ["a"]);
}

#[test]
fn a_zero_block_alone_between_entries_is_refused() {
    assert_eq!(refusal(&Tar::new().file("a", b"").zeros(1).file("b", b"").end()), Reason::LoneZeroBlock);
}

#[test]
fn concatenated_tars_end_at_two_zero_blocks_with_a_warning() {
    let tar = Tar::new().file("a", b"").zeros(2).file("hidden", b"").end();
    assert_eq!(paths(&tar), ["a"]);
    assert_eq!(warnings(&tar), [Warning::DataAfterEnd { offset: 1536 }]);
}

#[test]
fn data_after_the_end_is_kept_and_told() {
    let mut tar = Tar::new().file("a", b"").zeros(20).0;
    assert_eq!(warnings(&tar), []);
    // `read_with` checks that the bytes are among the raw ones.
    tar.extend_from_slice(b"trailing garbage of no whole block");
    assert_eq!(warnings(&tar), [Warning::DataAfterEnd { offset: 21 * 512 }]);
}

#[test]
fn data_after_the_end_is_bounded_and_zeros_are_not() {
    let mut limits = Limits::default();
    limits.trailing_bytes = 1000;
    let tar = Tar::new().zeros(5000).0;
    assert!(read_chunks(&mut [&tar[..]].into_iter(), &limits, Strictness::Normal).is_ok());
    for (len, is_taken) in [(1000, true), (1001, false)] {
        let tar = Tar::new().zeros(3).raw(&vec![1; len]).0;
        let read = read_chunks(&mut tar.chunks(700), &limits, Strictness::Normal);
        assert_eq!(read.is_ok(), is_taken, "{len}");
    }
}

#[test]
fn zeros_after_the_end_are_streamed() {
    // moby#35075: a daemon gathered gigabytes of them in memory.
    let mut reader = Reader::new(Limits::default(), Strictness::Normal);
    let (end, zeros) = (Tar::new().end(), vec![0; 1 << 20]);
    for chunk in std::iter::once(&end).chain(std::iter::repeat_n(&zeros, 256)) {
        let mut input = &chunk[..];
        let step = reader.next(&mut input).unwrap();
        assert_eq!((step.raw.len(), step.item), (chunk.len(), Item::NeedInput));
    }
    assert_eq!(reader.offset(), 1024 + (256 << 20));
    assert!(reader.finish().unwrap().list().is_empty());
}

#[test]
fn padding_need_not_be_zero() {
    let mut tar = Tar::new().file("a", b"x").file("b", b"").end();
    tar[600] = 0xff;
    assert_eq!(paths(&tar), ["a", "b"]);
}

#[test]
fn entries_are_counted() {
    let mut limits = Limits::default();
    limits.entries = 2;
    let tar = Tar::new().file("a", b"").file("b", b"");
    assert!(read_chunks(&mut [&tar.clone().end()[..]].into_iter(), &limits, Strictness::Normal).is_ok());
    let refusal = read_chunks(&mut [&tar.file("c", b"").end()[..]].into_iter(), &limits, Strictness::Normal);
    assert!(matches!(refusal.unwrap_err().reason(), Reason::TooBig { what: "entries", limit: 2 }));
}

#[test]
fn a_refusal_names_the_entry_and_the_place() {
    let tar = Tar::new().file("a", b"x").entry(Header::new(b'3', "dev/x").device(1 << 12, 0), b"").end();
    let refusal = read_with(&tar, Strictness::Normal).unwrap_err();
    assert_eq!((refusal.path(), refusal.offset()), (&b"dev/x"[..], 1536));
    let text = refusal.to_string();
    assert_eq!(
        text,
        "layer refused: entry \"dev/x\": the device number is not a number in range (at byte 1536 of the layer's tar)"
    );
}
