//! One file of an image, as a line of `ls -l` and as a JSON object.

use std::fmt::Write as _;

use sealstone::store::tree::{Content, FileType, InodeId, Timestamp, Tree};
use serde::Serialize;

use super::name::escape;
use super::{Bytes, Count};

/// A file as programs get it (docs/json.md, `sealstone.ls/1`).
#[derive(Serialize)]
pub struct FileDocument {
    path: String,
    r#type: &'static str,
    mode: String,
    uid: u32,
    gid: u32,
    mtime: TimestampDocument,
    size: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    object: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    device: Option<String>,
    xattrs: Vec<XattrDocument>,
}

#[derive(Serialize)]
struct TimestampDocument {
    sec: i64,
    nsec: u32,
}

#[derive(Serialize)]
struct XattrDocument {
    name: String,
    value: String,
}

impl FileDocument {
    /// The file `inode` at `path`.
    pub fn new(tree: &Tree, path: &[u8], inode: InodeId) -> Self {
        let metadata = tree.metadata(inode);
        let content = tree.content(inode);
        Self {
            path: escape(path),
            r#type: type_name(tree.file_type(inode)),
            mode: format!("{:04o}", metadata.mode),
            uid: metadata.uid,
            gid: metadata.gid,
            mtime: TimestampDocument { sec: metadata.mtime.sec, nsec: metadata.mtime.nsec },
            size: size(content),
            object: match content {
                Content::External { object, .. } => Some(object.to_string()),
                _ => None,
            },
            target: match content {
                Content::Symlink(target) => Some(escape(target)),
                _ => None,
            },
            device: device(content),
            xattrs: tree
                .xattrs(inode)
                .map(|(name, value)| XattrDocument { name: escape(name), value: escape(value) })
                .collect(),
        }
    }
}

/// What stands left of the name in `ls -l`: type and mode, owner, size or device number, time.
pub fn columns(tree: &Tree, inode: InodeId) -> [String; 4] {
    let metadata = tree.metadata(inode);
    let content = tree.content(inode);
    let amount = match content {
        Content::Directory => Count(tree.entries(inode).len() as u64).to_string(),
        Content::CharDevice(_) | Content::BlockDevice(_) => device(content).unwrap_or_default(),
        other => Bytes(size(other)).to_string(),
    };
    let owner = format!("{}:{}", metadata.uid, metadata.gid);
    [mode_text(tree.file_type(inode), metadata.mode), owner, amount, time_text(metadata.mtime)]
}

/// `name`, `name/` or `name -> target`.
pub fn decorated(tree: &Tree, name: &[u8], inode: InodeId) -> String {
    let mut text = escape(name);
    match tree.content(inode) {
        Content::Directory if !text.ends_with('/') => text.push('/'),
        Content::Symlink(target) => {
            let _ = write!(text, " -> {}", escape(target));
        }
        _ => {}
    }
    text
}

/// The size of a file's bytes; zero for what has none.
pub fn size(content: Content<'_>) -> u64 {
    match content {
        Content::Inline(bytes) | Content::Symlink(bytes) => bytes.len() as u64,
        Content::External { size, .. } => size,
        _ => 0,
    }
}

/// `major:minor` of a device.
fn device(content: Content<'_>) -> Option<String> {
    let (Content::CharDevice(number) | Content::BlockDevice(number)) = content else { return None };
    // Linux's 32-bit encoding (linux/kdev_t.h, new_decode_dev): minor in bits 0-7 and 20-31, major in bits 8-19.
    let (major, minor) = ((number >> 8) & 0xfff, (number & 0xff) | ((number >> 12) & 0xf_ff00));
    Some(format!("{major}:{minor}"))
}

/// The word for a type, in JSON and in messages.
pub fn type_name(file_type: FileType) -> &'static str {
    match file_type {
        FileType::Regular => "file",
        FileType::Directory => "directory",
        FileType::Symlink => "symlink",
        FileType::CharDevice => "char-device",
        FileType::BlockDevice => "block-device",
        FileType::Fifo => "fifo",
        FileType::Socket => "socket",
    }
}

/// `drwxr-xr-x`, with the set-id and sticky bits where `ls` shows them.
fn mode_text(file_type: FileType, mode: u16) -> String {
    let letter = match file_type {
        FileType::Regular => '-',
        FileType::Directory => 'd',
        FileType::Symlink => 'l',
        FileType::CharDevice => 'c',
        FileType::BlockDevice => 'b',
        FileType::Fifo => 'p',
        FileType::Socket => 's',
    };
    let mut text = String::from(letter);
    for (shift, special, mark) in [(6, 0o4000, 's'), (3, 0o2000, 's'), (0, 0o1000, 't')] {
        let bits = (mode >> shift) & 7;
        text.push(if bits & 4 == 0 { '-' } else { 'r' });
        text.push(if bits & 2 == 0 { '-' } else { 'w' });
        text.push(match (mode & special != 0, bits & 1 != 0) {
            (true, true) => mark,
            (true, false) => mark.to_ascii_uppercase(),
            (false, true) => 'x',
            (false, false) => '-',
        });
    }
    text
}

/// `2023-11-14 22:13` in UTC; seconds since 1970 for years that have not four digits.
pub fn time_text(time: Timestamp) -> String {
    let (days, second) = (time.sec.div_euclid(86_400), time.sec.rem_euclid(86_400));
    if !(-719_162..2_932_897).contains(&days) {
        return format!("@{}", time.sec);
    }
    let (year, month, day) = civil(days);
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02}", second / 3600, second / 60 % 60)
}

/// The date of a day counted from 1970-01-01 (proleptic Gregorian calendar), in eras of 400 years that begin in March.
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_read_as_in_ls() {
        assert_eq!(mode_text(FileType::Directory, 0o1777), "drwxrwxrwt");
        assert_eq!(mode_text(FileType::Regular, 0o4755), "-rwsr-xr-x");
        assert_eq!(mode_text(FileType::Regular, 0o2640), "-rw-r-S---");
    }

    #[test]
    fn times_are_dates_in_utc() {
        let shown = |sec| time_text(Timestamp { sec, nsec: 0 });
        assert_eq!(shown(0), "1970-01-01 00:00");
        assert_eq!(shown(1_700_000_000), "2023-11-14 22:13");
        assert_eq!(shown(951_782_400), "2000-02-29 00:00");
        assert_eq!(shown(-1), "1969-12-31 23:59");
        assert_eq!(shown(i64::MAX), format!("@{}", i64::MAX));
    }

    #[test]
    fn device_numbers_are_taken_apart_as_the_kernel_does() {
        assert_eq!(device(Content::CharDevice(0x0501)).as_deref(), Some("5:1"));
        assert_eq!(device(Content::BlockDevice(0x1230_0845)).as_deref(), Some("8:74565"));
        assert_eq!(device(Content::Fifo), None);
    }
}
