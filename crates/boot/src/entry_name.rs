//! File names and sort keys of boot entries, by bootc's scheme.
//!
//! What lives here: how the newest two deployments and the older ones are named, and the order of the menu. What does not:
//! the order of versions ([`compare_versions`](crate::compare_versions)), counters in names (`counting.rs`).
//! Source: bootc names an entry `bootc_<ID with - as _>-<version>-<1|0>.conf`, since GRUB reads a file name as name,
//! version and release and sorts descending, ignoring the sort key; systemd-boot sorts `sort-key` ascending.
//! Invariant: in both orders the primary comes first, then the secondary, then what is older, newest first.

#[cfg(test)]
mod grub_tests;

use std::{fmt, path::Path};

use crate::{BlsEntry, BootError, OsRelease, compare_versions};

/// The longest name of a file on FAT and on Linux' own file systems.
const NAME_MAX: usize = 255;

/// The place of a deployment in the menu.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rank {
    /// What boots by default.
    Primary,
    /// What a rollback boots.
    Secondary,
    /// Older or pinned ones, by their deployment's serial number.
    Archived(u64),
}

impl Rank {
    /// The sort key of an entry of this rank: ascending order is menu order.
    #[must_use]
    pub fn sort_key(self, os_id: &str) -> String {
        match self {
            Self::Primary => format!("bootc-{os_id}-0"),
            Self::Secondary => format!("bootc-{os_id}-1"),
            // After `bootc-…`, and the newer (higher) serial first.
            Self::Archived(serial) => format!("sealstone-{os_id}-{:016x}", u64::MAX - serial),
        }
    }
}

/// The name of an entry's file below `loader/entries/`.
///
/// Names are equal when FAT takes them for the same file: the case of ASCII letters does not count.
#[derive(Clone, Debug)]
pub struct EntryName(String);

impl EntryName {
    /// The name of an entry of ours. `version` is the system's; without one the deployment's id serves.
    ///
    /// # Errors
    /// [`BootError::Invalid`] when the parts make no file name.
    pub fn new(os: &OsRelease, version: &str, rank: Rank) -> Result<Self, BootError> {
        let id = os.id.replace('-', "_");
        // GRUB splits at the last two dashes: one inside the version would shift its parts.
        let version = version.replace('-', "_");
        let name = |version: &str| match rank {
            Rank::Primary => Self::parse(&format!("bootc_{id}-{version}-1.conf")),
            Rank::Secondary => Self::parse(&format!("bootc_{id}-{version}-0.conf")),
            // `archived` is before `bootc`, so behind it in GRUB's descending order.
            Rank::Archived(serial) => Self::parse(&format!("archived_{id}-{version}-{serial}.conf")),
        };
        let plain = name(&version)?;
        // A version such as `1+12` would make a counter, which the boot loader counts down.
        if plain.tries().is_some() { name(&version.replace('+', "_")) } else { Ok(plain) }
    }

    /// Takes the name of a file in `loader/entries`.
    ///
    /// # Errors
    /// [`BootError::Invalid`] when it does not end in `.conf` or cannot be a file name on FAT.
    pub fn parse(name: &str) -> Result<Self, BootError> {
        let refuse = |reason: &str| Err(BootError::invalid("boot entry name", name, reason));
        let fat = |c: char| !c.is_control() && !"\"*/:<>?\\|".contains(c);
        if name.len() > NAME_MAX {
            return refuse("it is longer than 255 bytes");
        }
        if !name.chars().all(fat) {
            return refuse("it has a character that FAT does not allow");
        }
        if name.starts_with('.') {
            return refuse("it begins with a dot");
        }
        if !has_conf_suffix(name) {
            return refuse("it does not end in .conf");
        }
        Ok(Self(name.to_owned()))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is a name of this scheme for a system with this id: ours or bootc's.
    #[must_use]
    pub fn is_of_system(&self, os_id: &str) -> bool {
        let id = os_id.replace('-', "_");
        let stem = self.0.strip_suffix(".conf").unwrap_or_default();
        let rest = ["bootc_", "archived_"].iter().find_map(|prefix| stem.strip_prefix(prefix));
        let rest =
            rest.and_then(|rest| rest.strip_prefix(id.as_str())).and_then(|rest| rest.strip_prefix('-'));
        rest.and_then(|rest| rest.rsplit_once('-')).is_some_and(|(version, number)| {
            let number = number.split_once('+').map_or(number, |(number, _)| number);
            !version.is_empty() && number.parse::<u64>().is_ok()
        })
    }

    /// Whether bootc made this name, or we did in its scheme: not foreign, even without our key.
    #[must_use]
    pub fn is_of_bootc(&self) -> bool {
        let stem = self.0.strip_suffix(".conf").and_then(|stem| stem.strip_prefix("bootc_"));
        stem.is_some_and(|stem| stem.ends_with("-1") || stem.ends_with("-0"))
    }
}

/// Whether a boot loader takes a file of this name for an entry. FAT has no case.
pub(crate) fn has_conf_suffix(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|extension| extension.eq_ignore_ascii_case("conf"))
}

impl fmt::Display for EntryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl PartialEq for EntryName {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Eq for EntryName {}

impl PartialOrd for EntryName {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for EntryName {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.to_ascii_lowercase().cmp(&other.0.to_ascii_lowercase())
    }
}

/// The order in which systemd-boot lists entries, first what it boots by default (UAPI.1 "Sorting"): entries that have no
/// tries left come last; entries with a sort key first, by it ascending, then machine id ascending, then version
/// descending, then file name without its counter descending, then what has more tries left.
#[must_use]
pub fn menu_order(a: (&EntryName, &BlsEntry), b: (&EntryName, &BlsEntry)) -> std::cmp::Ordering {
    let version = |entry: &BlsEntry| entry.version().unwrap_or_default().to_owned();
    // What was tried as often as it may be comes last, whatever else it says.
    let is_spent = |name: &EntryName| name.tries().is_some_and(|tries| tries.left == 0);
    let by_tries = is_spent(a.0).cmp(&is_spent(b.0));
    let by_key = match (a.1.sort_key(), b.1.sort_key()) {
        (Some(x), Some(y)) => {
            let machine = |entry: &BlsEntry| entry.get("machine-id").unwrap_or_default().to_owned();
            let by_version = || compare_versions(&version(b.1), &version(a.1));
            x.cmp(y).then_with(|| machine(a.1).cmp(&machine(b.1))).then_with(by_version)
        }
        (x, y) => y.is_some().cmp(&x.is_some()),
    };
    // The counter is no part of an entry's id.
    let id = |name: &EntryName| name.plain().unwrap_or_else(|_| name.clone());
    let by_id = || compare_versions(id(b.0).as_str(), id(a.0).as_str());
    let by_counter = || match (a.0.tries(), b.0.tries()) {
        (Some(x), Some(y)) => y.left.cmp(&x.left).then(x.done.cmp(&y.done)),
        _ => std::cmp::Ordering::Equal,
    };
    by_tries.then(by_key).then_with(by_id).then_with(by_counter)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn os(id: &str) -> OsRelease {
        OsRelease { id: id.into(), ..OsRelease::default() }
    }

    #[test]
    fn names_follow_the_scheme_of_bootc() {
        let name = |rank| EntryName::new(&os("opensuse-tumbleweed"), "13.1-rc", rank).unwrap();
        assert_eq!(name(Rank::Primary).as_str(), "bootc_opensuse_tumbleweed-13.1_rc-1.conf");
        assert_eq!(name(Rank::Secondary).as_str(), "bootc_opensuse_tumbleweed-13.1_rc-0.conf");
        assert!(name(Rank::Primary).is_of_bootc());
        assert!(!name(Rank::Archived(3)).is_of_bootc());
        assert!(!EntryName::parse("windows.conf").unwrap().is_of_bootc());
    }

    #[test]
    fn every_rank_is_behind_the_one_above_in_both_boot_loaders() {
        let ranks = [Rank::Primary, Rank::Secondary, Rank::Archived(9), Rank::Archived(8)];
        for pair in ranks.windows(2) {
            assert!(pair[0].sort_key("debian") < pair[1].sort_key("debian"), "{pair:?}");
            let name = |rank| EntryName::new(&os("debian"), "13", rank).unwrap();
            let grub = compare_versions(name(pair[0]).as_str(), name(pair[1]).as_str());
            assert_eq!(grub, std::cmp::Ordering::Greater, "{pair:?}");
        }
    }

    #[test]
    fn a_counter_in_the_name_is_read_and_a_version_with_a_plus_is_none() {
        let tries =
            |name: &str| EntryName::parse(name).unwrap().tries().map(|tries| (tries.left, tries.done));
        assert_eq!(tries("bootc_debian-13-1+3.conf"), Some((3, 0)));
        assert_eq!(tries("bootc_debian-13-1+00-03.conf"), Some((0, 3)));
        assert_eq!(tries("bootc_debian-13+dfsg-1.conf"), None);
        assert_eq!(tries("bootc_debian-13-1.conf"), None);
    }

    #[test]
    fn names_that_fat_takes_for_one_file_are_equal() {
        assert_eq!(EntryName::parse("A.conf").unwrap(), EntryName::parse("a.conf").unwrap());
        for bad in ["a", ".conf", "a/b.conf", "a:b.conf", ".hid.conf", &format!("{}.conf", "x".repeat(251))] {
            assert!(EntryName::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_menu_lists_newer_versions_of_one_sort_key_first_and_entries_without_one_last() {
        let entry = |text: &str| text.parse::<BlsEntry>().unwrap();
        let name = |text: &str| EntryName::parse(text).unwrap();
        let list = [
            (name("a.conf"), entry("sort-key bootc-debian-0\nversion 13")),
            (name("b.conf"), entry("sort-key bootc-debian-0\nversion 12")),
            (name("c.conf"), entry("sort-key bootc-debian-1\nversion 14")),
            (name("z.conf"), entry("version 99")),
            (name("y.conf"), entry("version 100")),
        ];
        for pair in list.windows(2) {
            assert!(menu_order((&pair[0].0, &pair[0].1), (&pair[1].0, &pair[1].1)).is_lt());
        }
        // Whatever has no tries left comes behind all of them, and of one entry what has more left comes first.
        let spent = (name("a+0-3.conf"), list[0].1.clone());
        for other in &list {
            assert!(menu_order((&other.0, &other.1), (&spent.0, &spent.1)).is_lt());
        }
        let counted = (name("a+2-1.conf"), list[0].1.clone());
        let more = (name("a+3-0.conf"), list[0].1.clone());
        assert!(menu_order((&more.0, &more.1), (&counted.0, &counted.1)).is_lt());
    }
}
