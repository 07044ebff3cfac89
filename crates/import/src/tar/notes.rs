//! What of a layer was read otherwise than it is written, in the one way that every reader has.
//!
//! A tar of `.` has "./" before every name: so there is a count of each kind, and of the first places only as many as
//! the limit says. Nothing here is a reason to refuse a layer; what is, is a [`Warning`](super::Warning).

/// A way in which layers are written that means the same as another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Normalisation {
    /// A path with a leading slash, empty components or `.`.
    Path,
    /// A file's path with a slash at its end.
    FileSlash,
    /// A directory as Version 7 writes it: no type, a slash at the end.
    OldDirectory,
    /// A contiguous file (type 7).
    Contiguous,
    /// A sparse file.
    Sparse,
    /// A mode with more than the permissions.
    Mode,
    /// An attribute in libarchive's spelling alone.
    LibarchiveXattr,
    /// A global header.
    GlobalHeader,
    /// The label of a GNU volume.
    VolumeLabel,
    /// A directory that no entry describes.
    ImplicitDirectory,
    /// A path that leads through a symlink of its own layer.
    FollowedSymlink,
    /// Bookkeeping of AUFS.
    Aufs,
    /// An archive that stops without its end.
    NoEnd,
}

impl Normalisation {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::Path,
        Self::FileSlash,
        Self::OldDirectory,
        Self::Contiguous,
        Self::Sparse,
        Self::Mode,
        Self::LibarchiveXattr,
        Self::GlobalHeader,
        Self::VolumeLabel,
        Self::ImplicitDirectory,
        Self::FollowedSymlink,
        Self::Aufs,
        Self::NoEnd,
    ];

    /// A short name that stays the same: `path`, `implicit-directory`, ….
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Path => "path",
            Self::FileSlash => "file-slash",
            Self::OldDirectory => "old-directory",
            Self::Contiguous => "contiguous",
            Self::Sparse => "sparse",
            Self::Mode => "mode",
            Self::LibarchiveXattr => "libarchive-xattr",
            Self::GlobalHeader => "global-header",
            Self::VolumeLabel => "volume-label",
            Self::ImplicitDirectory => "implicit-directory",
            Self::FollowedSymlink => "followed-symlink",
            Self::Aufs => "aufs",
            Self::NoEnd => "no-end",
        }
    }

    /// What was done, as a sentence.
    #[must_use]
    pub const fn rule(self) -> &'static str {
        match self {
            Self::Path => "leading slashes, empty components and \".\" fall away",
            Self::FileSlash => "the slash at the end of a file's path falls away",
            Self::OldDirectory => "an entry without a type and with a slash at its end is a directory",
            Self::Contiguous => "a contiguous file is a file",
            Self::Sparse => "a sparse file has its holes as zeros",
            Self::Mode => "of a mode, only the permissions count",
            Self::LibarchiveXattr => "an attribute in libarchive's spelling is decoded",
            Self::GlobalHeader => "global headers are ignored",
            Self::VolumeLabel => "a volume's label is ignored",
            Self::ImplicitDirectory => {
                "a directory without an entry is 0755, 0:0, from 1970, or what a lower layer has"
            }
            Self::FollowedSymlink => "a symlink of the same layer is followed, inside the root",
            Self::Aufs => "bookkeeping of AUFS is left out",
            Self::NoEnd => "an archive may stop without its zero blocks",
        }
    }
}

/// How often something was normalised, and where first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    count: u64,
    first: Vec<Box<[u8]>>,
}

impl Tally {
    /// How often.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// The paths of the first entries, normalised; none where it concerns no entry.
    #[must_use]
    pub fn first(&self) -> &[Box<[u8]>] {
        &self.first
    }
}

/// The normalisations of one layer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notes {
    tallies: [Tally; Normalisation::ALL.len()],
}

impl Notes {
    /// Counts one. Its path is kept if there is one, and there are fewer than `limit`.
    pub(crate) fn add(&mut self, what: Normalisation, path: &[u8], limit: usize) {
        if let Some(tally) = self.tallies.get_mut(what as usize) {
            tally.count += 1;
            if tally.first.len() < limit && !path.is_empty() {
                tally.first.push(path.into());
            }
        }
    }

    /// Adds those of another part of the same layer.
    pub(crate) fn absorb(&mut self, other: Self, limit: usize) {
        for (tally, other) in self.tallies.iter_mut().zip(other.tallies) {
            tally.count += other.count;
            let room = limit.saturating_sub(tally.first.len());
            tally.first.extend(other.first.into_iter().take(room));
        }
    }

    /// The kinds that occurred.
    pub fn iter(&self) -> impl Iterator<Item = (Normalisation, &Tally)> {
        Normalisation::ALL.into_iter().zip(&self.tallies).filter(|(_, tally)| tally.count > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_counted_and_only_the_first_places_are_kept() {
        let mut notes = Notes::default();
        for what in Normalisation::ALL {
            for path in ["a", "b", ""] {
                notes.add(what, path.as_bytes(), 1);
            }
        }
        let kinds: Vec<_> = notes.iter().map(|(what, _)| what).collect();
        assert_eq!(kinds, Normalisation::ALL);
        assert!(notes.iter().all(|(_, tally)| tally.count() == 3 && *tally.first() == [b"a"[..].into()]));
        let mut names: Vec<_> = kinds.iter().map(|what| what.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Normalisation::ALL.len());
    }
}
