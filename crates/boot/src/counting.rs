//! Boot counting: how often a boot loader still tries an entry, which it writes into the file's name.
//!
//! What lives here: the counter as a type, in names and out of them. What does not: when an entry gets one, and when it is
//! good (the deploy crate), the renames themselves, which the boot loader makes.
//! Source: Automatic Boot Assessment (UAPI.1 "Boot counting"): `NAME+LEFT[-DONE].conf`. Each try takes one from LEFT and
//! adds one to DONE; with none left, other entries come first. GRUB knows none of it: such a name is a name to it.

use std::fmt;

use crate::{BootError, EntryName, entry_name::has_conf_suffix};

/// The length of `.conf`.
const SUFFIX: usize = 5;

/// The counter of Automatic Boot Assessment in an entry's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Tries {
    /// How often the boot loader still tries it.
    pub left: u32,
    /// How often it has tried.
    pub done: u32,
}

impl Tries {
    /// A counter that was never counted down.
    #[must_use]
    pub const fn new(left: u32) -> Self {
        Self { left, done: 0 }
    }
}

/// Both numbers from the start: while each has one digit, a boot loader's rename keeps the name's length, and with it the
/// number of slots that the name takes in a FAT folder (rule D10).
impl fmt::Display for Tries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "+{}-{}", self.left, self.done)
    }
}

impl EntryName {
    /// What a boot loader has counted in this name.
    #[must_use]
    pub fn tries(&self) -> Option<Tries> {
        self.split().1
    }

    /// The name without a counter, which is the entry's own: the boot loader knows it by this one whatever it counts.
    ///
    /// # Errors
    /// [`BootError::Invalid`] when nothing is left of it.
    pub fn plain(&self) -> Result<Self, BootError> {
        match self.split() {
            (_, None) => Ok(self.clone()),
            (stem, Some(_)) => Self::parse(&format!("{stem}.conf")),
        }
    }

    /// The name with this counter, in the place of one that it has.
    ///
    /// # Errors
    /// [`BootError::Invalid`] when it gets too long.
    pub fn counted(&self, tries: Tries) -> Result<Self, BootError> {
        Self::parse(&format!("{}{tries}.conf", self.split().0))
    }

    /// What is before the counter and the suffix, and the counter.
    fn split(&self) -> (&str, Option<Tries>) {
        let name = self.as_str();
        let stem = if has_conf_suffix(name) { name.get(..name.len() - SUFFIX).unwrap_or(name) } else { name };
        let counter = || {
            let (before, counter) = stem.rsplit_once('+')?;
            let (left, done) = counter.split_once('-').unwrap_or((counter, "0"));
            let number = |text: &str| text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok());
            Some((before, Tries { left: number(left)??, done: number(done)?? }))
        };
        counter().map_or((stem, None), |(before, tries)| (before, Some(tries)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> EntryName {
        EntryName::parse(text).unwrap()
    }

    #[test]
    fn a_counter_is_read_as_the_boot_loader_writes_it() {
        for (text, left, done) in
            [("a+3.conf", 3, 0), ("a+2-1.conf", 2, 1), ("a+03-00.conf", 3, 0), ("A+0-3.CONF", 0, 3)]
        {
            assert_eq!(name(text).tries(), Some(Tries { left, done }), "{text}");
            assert_eq!(name(text).plain().unwrap(), name("a.conf"), "{text}");
        }
        for text in
            ["a.conf", "a+.conf", "a+x.conf", "a+3-.conf", "a+3-x.conf", "a+99999999999.conf", "a+3-1-1.conf"]
        {
            assert_eq!(name(text).tries(), None, "{text}");
            assert_eq!(name(text).plain().unwrap(), name(text));
        }
    }

    #[test]
    fn counting_down_keeps_the_length_of_the_name() {
        let fresh = name("bootc_debian-13-1.conf").counted(Tries::new(3)).unwrap();
        assert_eq!(fresh.as_str(), "bootc_debian-13-1+3-0.conf");
        let after = fresh.counted(Tries { left: 2, done: 1 }).unwrap();
        assert_eq!(after.as_str(), "bootc_debian-13-1+2-1.conf");
        assert_eq!(fresh.as_str().len(), after.as_str().len());
    }

    #[test]
    fn a_version_with_a_plus_makes_no_counter() {
        use crate::{OsRelease, Rank};
        let of =
            |version: &str| EntryName::new(&OsRelease::parse("ID=debian"), version, Rank::Primary).unwrap();
        assert_eq!(of("13+deb13u1").as_str(), "bootc_debian-13+deb13u1-1.conf");
        assert_eq!(of("13+deb13u1").tries(), None);
        // The boot loader would count this one down.
        assert_eq!(of("1+12").as_str(), "bootc_debian-1_12-1.conf");
        assert_eq!(of("1+12").counted(Tries::new(3)).unwrap().plain().unwrap(), of("1+12"));
    }
}
