//! [`BoundToCome`]: what bound images that are not here yet will take, as far as their manifests tell.
//!
//! A manifest has the sizes of blobs, so of a plain tar what it will take is known, and of a packed layer only a guess is
//! possible: what the layer's blob has is counted as certain, and the rest of the guess is told apart, so that nothing is
//! refused for it. Files, and what images share with each other and with the system, are known once the layers are here.

use sealstone_import::{ManifestDigest, SourceImage, decompress::Compression, oci::MediaType};

use super::BoundImage;

/// How many times as big as its blob the content of a packed layer is taken to be. Debian's base system is 2.8 times its
/// gzip, and 3.4 times its zstd.
const UNPACKED: u64 = 3;

/// So many bytes, of which some are a guess.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Guess {
    /// All of them.
    pub bytes: u64,
    /// Those that are not certain.
    pub guessed: u64,
}

impl Guess {
    /// Of a blob, or a part of one.
    fn of(packed: u64, media_type: &MediaType) -> Self {
        if *media_type == MediaType::Layer(Compression::None) {
            return Self { bytes: packed, guessed: 0 };
        }
        let bytes = packed.saturating_mul(UNPACKED);
        Self { bytes, guessed: bytes - packed }
    }

    /// Adds another.
    pub fn add(&mut self, other: Self) {
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.guessed = self.guessed.saturating_add(other.guessed);
    }
}

/// What a bound image will take that is not here.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BoundToCome {
    /// Its manifest.
    pub manifest: ManifestDigest,
    /// Its layers.
    pub layers: u64,
    /// What its missing layers will take in the repository.
    pub objects: Guess,
    /// What all its layers hold: what a copy takes.
    pub content: Guess,
}

impl BoundToCome {
    /// Of an image whose documents were read.
    pub(super) fn of(image: &SourceImage) -> Self {
        let layers = image.layers.len() as u64;
        let mut come =
            Self { manifest: image.manifest, layers, objects: Guess::default(), content: Guess::default() };
        for layer in &image.layers {
            let media_type = layer.descriptor.media_type();
            come.objects.add(Guess::of(layer.bytes_to_fetch, media_type));
            come.content.add(Guess::of(layer.blob_bytes, media_type));
        }
        come
    }

    /// Of an image of which only a record tells.
    pub(crate) fn recorded(image: &BoundImage) -> Self {
        let all = Guess::of(image.bytes.unwrap_or_default(), &MediaType::Layer(Compression::Gzip));
        Self { manifest: image.manifest, layers: 0, objects: all, content: all }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_certain_of_a_packed_layer_is_its_blob_and_of_a_tar_all() {
        let tar = Guess::of(100, &MediaType::Layer(Compression::None));
        assert_eq!(tar, Guess { bytes: 100, guessed: 0 });
        let mut both = Guess::of(100, &MediaType::Layer(Compression::Zstd));
        assert_eq!(both.bytes - both.guessed, 100);
        both.add(tar);
        assert_eq!(both, Guess { bytes: 400, guessed: 200 });
        both.add(Guess { bytes: u64::MAX, guessed: 0 });
        assert_eq!(both.bytes, u64::MAX);
    }
}
