//! Names on FAT: a short one of eight and three letters, and before it the long one, where that says more.

use std::collections::BTreeSet;

/// 1980-01-01, the first day that FAT knows.
const DATE: u16 = (1 << 5) | 1;

/// The letters of a long name in an entry, and where they are.
const LETTERS: usize = 13;
const PLACES: [usize; LETTERS] = [1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30];

/// The names of a folder, which have to differ.
#[derive(Default)]
pub(super) struct Names(BTreeSet<[u8; 11]>);

/// A name, as its folder has it.
pub(super) struct Name {
    short: [u8; 11],
    /// UTF-16, if the short one does not say it.
    long: Vec<u16>,
}

impl Names {
    /// Takes a name in.
    pub(super) fn add(&mut self, name: &str) -> Name {
        if let Some(short) = as_short(name)
            && self.0.insert(short)
        {
            return Name { short, long: Vec::new() };
        }
        let (stem, extension) = name.rsplit_once('.').unwrap_or((name, ""));
        let letters = |text: &str, most: usize| -> Vec<u8> {
            let upper = text.bytes().map(|byte| byte.to_ascii_uppercase());
            upper
                .filter(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
                .take(most)
                .collect()
        };
        let (stem, extension) = (letters(stem, 6), letters(extension, 3));
        let mut number = 1u32;
        loop {
            let tail = format!("~{number}");
            let kept = stem.get(..stem.len().min(8 - tail.len().min(8))).unwrap_or_default();
            let short = padded(&[kept, tail.as_bytes()].concat(), &extension);
            if self.0.insert(short) {
                return Name { short, long: name.encode_utf16().collect() };
            }
            number += 1;
        }
    }
}

impl Name {
    /// How many entries it takes.
    pub(super) fn entries(&self) -> usize {
        1 + self.long.len().div_ceil(LETTERS)
    }

    /// Writes its entries: the long name from its end on, then the short one.
    pub(super) fn write(&self, to: &mut Vec<u8>, is_folder: bool, cluster: u32, size: u32) {
        let sum = self.short.iter().fold(0u8, |sum, byte| sum.rotate_right(1).wrapping_add(*byte));
        for (number, letters) in self.long.chunks(LETTERS).enumerate().rev() {
            let is_last = (number + 1) * LETTERS >= self.long.len();
            let mut entry = [0; 32];
            entry[0] = (number + 1).to_le_bytes()[0] | if is_last { 0x40 } else { 0 };
            (entry[11], entry[13]) = (0x0f, sum);
            // One zero ends a name that does not fill its entry; ones fill the rest.
            let padded = letters.iter().copied().chain([0]).chain(std::iter::repeat(0xffff));
            for (place, letter) in PLACES.into_iter().zip(padded) {
                if let Some(place) = entry.get_mut(place..place + 2) {
                    place.copy_from_slice(&letter.to_le_bytes());
                }
            }
            to.extend(entry);
        }
        to.extend(entry(&self.short, is_folder, cluster, size));
    }
}

/// An entry with a short name.
pub(super) fn entry(name: &[u8; 11], is_folder: bool, cluster: u32, size: u32) -> [u8; 32] {
    let mut entry = [0; 32];
    entry[..11].copy_from_slice(name);
    entry[11] = if is_folder { 0x10 } else { 0x20 };
    let [a, b, c, d] = cluster.to_le_bytes();
    let [low, high] = DATE.to_le_bytes();
    for at in [16, 18, 24] {
        if let Some(place) = entry.get_mut(at..at + 2) {
            place.copy_from_slice(&[low, high]);
        }
    }
    (entry[20], entry[21], entry[26], entry[27]) = (c, d, a, b);
    entry[28..].copy_from_slice(&size.to_le_bytes());
    entry
}

/// The entry that names the volume.
pub(super) fn label(name: &[u8; 11]) -> [u8; 32] {
    let mut entry = entry(name, false, 0, 0);
    entry[11] = 0x08;
    entry
}

/// The name as eight and three, if it is one that has no other form.
fn as_short(name: &str) -> Option<[u8; 11]> {
    let (stem, extension) = name.split_once('.').unwrap_or((name, ""));
    let is_plain = |text: &str| {
        text.bytes()
            .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-'))
    };
    let fits = (1..=8).contains(&stem.len()) && extension.len() <= 3 && !name.ends_with('.');
    (fits && is_plain(stem) && is_plain(extension)).then(|| padded(stem.as_bytes(), extension.as_bytes()))
}

fn padded(stem: &[u8], extension: &[u8]) -> [u8; 11] {
    let mut short = [b' '; 11];
    short.iter_mut().take(8).zip(stem).for_each(|(place, byte)| *place = *byte);
    short.iter_mut().skip(8).zip(extension).for_each(|(place, byte)| *place = *byte);
    short
}
