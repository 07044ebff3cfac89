//! Mode, owner and time of a file: plain values, checked by the reader that parsed them.

/// A point in time, as Linux keeps it: seconds since 1970 (negative before) and nanoseconds after that second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Timestamp {
    /// Seconds since 1970-01-01 UTC.
    pub sec: i64,
    /// Nanoseconds after that, below 1,000,000,000.
    pub nsec: u32,
}

/// The mode, owner and modification time of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Metadata {
    /// Permissions with the set-id and sticky bits: 07777. A tree drops all other bits.
    pub mode: u16,
    /// The owner's number.
    pub uid: u32,
    /// The group's number.
    pub gid: u32,
    /// The modification time.
    pub mtime: Timestamp,
}
