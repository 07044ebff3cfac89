//! Layers whose contents are generated: `many` small files and three `big` ones.
//!
//! Lives here: the generator and its seeds. Invariant: the same bytes on every machine.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use anyhow::Result;

use super::layer::LayerTar;

/// `many`: this many folders of this many files, each of 0 to 8 KiB.
const FOLDERS: u64 = 200;
const FILES_PER_FOLDER: u64 = 1_000;
const LARGEST: u64 = 8 << 10;
/// `big`: sizes in MiB.
const BIG: [u64; 3] = [256, 512, 1024];

/// The splitmix64 generator: small, seedable, good enough to be incompressible.
#[derive(Clone)]
pub struct Random(u64);

impl Random {
    /// A generator with its own sequence for each seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

impl Read for Random {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let whole = buffer.len() - buffer.len() % 8;
        if whole == 0 {
            let length = buffer.len();
            buffer.copy_from_slice(&self.next().to_le_bytes()[..length]);
            return Ok(length);
        }
        for chunk in buffer[..whole].chunks_exact_mut(8) {
            chunk.copy_from_slice(&self.next().to_le_bytes());
        }
        Ok(whole)
    }
}

/// 200,000 small files of text and numbers; about one in ten repeats an earlier one.
pub fn many(to: impl Write) -> Result<()> {
    let mut layer = LayerTar::new(to);
    let mut random = Random::new(1);
    let words = dictionary();
    let (mut names, mut contents) = (0, Vec::new());
    for folder in ["usr", "usr/share", "usr/share/many"] {
        layer.folder(Path::new(folder))?;
    }
    for folder in 0..FOLDERS {
        let folder = PathBuf::from(format!("usr/share/many/{folder:03}"));
        layer.folder(&folder)?;
        for file in 0..FILES_PER_FOLDER {
            names += 1;
            let seed = if random.next().is_multiple_of(10) { random.next() % names } else { names };
            text(&words, seed, &mut contents);
            layer.file(&folder.join(format!("{file:03}")), &contents)?;
        }
    }
    layer.finish()
}

/// Three incompressible files.
pub fn big(to: impl Write) -> Result<()> {
    let mut layer = LayerTar::new(to);
    for folder in ["usr", "usr/lib", "usr/lib/big"] {
        layer.folder(Path::new(folder))?;
    }
    for mebibytes in BIG {
        let name = PathBuf::from(format!("usr/lib/big/{mebibytes}M"));
        layer.large_file(&name, mebibytes << 20, Random::new(mebibytes).take(mebibytes << 20))?;
    }
    layer.finish()
}

fn dictionary() -> Vec<String> {
    let mut random = Random::new(2);
    let letter = |bits: u64| char::from(b'a' + u8::try_from(bits % 26).unwrap_or(0));
    let word = |random: &mut Random| (0..3 + random.next() % 8).map(|_| letter(random.next())).collect();
    (0..20_000).map(|_| word(&mut random)).collect()
}

/// Fills `contents` with the text of the file number `seed`.
fn text(words: &[String], seed: u64, contents: &mut Vec<u8>) {
    let mut random = Random::new(seed.wrapping_mul(0x1_0001));
    let size = usize::try_from(random.next() % LARGEST).unwrap_or(0);
    contents.clear();
    while contents.len() < size {
        let bits = random.next();
        if bits.is_multiple_of(4) {
            contents.extend_from_slice(format!("{bits:x}\n").as_bytes());
        } else {
            let index = usize::try_from(bits >> 8).unwrap_or(0) % words.len();
            contents.extend_from_slice(words[index].as_bytes());
            contents.push(b' ');
        }
    }
    contents.truncate(size);
}
