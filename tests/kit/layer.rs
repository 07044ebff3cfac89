//! One layer: a tar, written entry by entry in the order given.

use tar::{Builder, EntryType, Header};

/// A layer under construction. Entries are 0:0 with mtime 1,700,000,000 unless said otherwise.
pub struct Layer {
    tar: Builder<Vec<u8>>,
}

impl Default for Layer {
    fn default() -> Self {
        Self::new()
    }
}

impl Layer {
    pub fn new() -> Self {
        Self { tar: Builder::new(Vec::new()) }
    }

    /// The usual top of a bootable tree: a kernel and its initramfs, /etc, /var and what bootc expects.
    pub fn system(version: &str) -> Self {
        let modules = format!("usr/lib/modules/{version}");
        let mut layer = Self::new();
        for folder in [
            "boot", "etc", "proc", "run", "sys", "sysroot", "tmp", "usr", "usr/bin", "usr/lib", "var",
            "var/lib",
        ] {
            layer = layer.dir(folder);
        }
        layer
            .dir("usr/lib/modules")
            .dir(&modules)
            .file(&format!("{modules}/vmlinuz"), &noise(20_000, 1))
            .file(&format!("{modules}/initramfs.img"), &noise(50_000, 2))
            .file("usr/lib/os-release", b"ID=example\nVERSION_ID=1\nPRETTY_NAME=\"Example 1\"\n")
            .symlink("etc/os-release", "../usr/lib/os-release")
            .file("etc/hostname", b"example\n")
            .file("usr/bin/hello", &noise(9_000, 3))
    }

    pub fn dir(self, path: &str) -> Self {
        self.entry(path, EntryType::Directory, 0o755, b"")
    }

    pub fn file(self, path: &str, body: &[u8]) -> Self {
        self.entry(path, EntryType::Regular, 0o644, body)
    }

    pub fn file_with_mode(self, path: &str, mode: u32, body: &[u8]) -> Self {
        self.entry(path, EntryType::Regular, mode, body)
    }

    pub fn symlink(self, path: &str, target: &str) -> Self {
        self.link(path, EntryType::Symlink, target)
    }

    pub fn hardlink(self, path: &str, target: &str) -> Self {
        self.link(path, EntryType::Link, target)
    }

    /// Removes what lower layers have at `path`.
    pub fn whiteout(self, path: &str) -> Self {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        let separator = if folder.is_empty() { "" } else { "/" };
        self.file(&format!("{folder}{separator}.wh.{name}"), b"")
    }

    /// A file with one extended attribute, in the PAX form of GNU tar and Go.
    pub fn file_with_xattr(mut self, path: &str, body: &[u8], name: &str, value: &[u8]) -> Self {
        let key = format!("SCHILY.xattr.{name}");
        self.tar.append_pax_extensions([(key.as_str(), value)]).expect("pax");
        self.file(path, body)
    }

    /// A path that the crate would refuse to write, such as `../escape`.
    pub fn file_with_raw_name(mut self, name: &[u8], body: &[u8]) -> Self {
        let mut header = header(EntryType::Regular, 0o644, body.len());
        if let Some(field) = header.as_old_mut().name.get_mut(..name.len()) {
            field.copy_from_slice(name);
        }
        header.set_cksum();
        self.tar.append(&header, body).expect("append");
        self
    }

    fn entry(mut self, path: &str, kind: EntryType, mode: u32, body: &[u8]) -> Self {
        let mut header = header(kind, mode, body.len());
        self.tar.append_data(&mut header, path, body).expect("append");
        self
    }

    fn link(mut self, path: &str, kind: EntryType, target: &str) -> Self {
        let mut header = header(kind, 0o777, 0);
        self.tar.append_link(&mut header, path, target).expect("append link");
        self
    }

    /// The tar's bytes, its end included.
    pub fn finish(self) -> Vec<u8> {
        self.tar.into_inner().expect("tar")
    }
}

fn header(kind: EntryType, mode: u32, size: usize) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(1_700_000_000);
    header.set_size(size as u64);
    header
}

/// Bytes that do not compress and differ by seed (splitmix64).
pub fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bytes.extend_from_slice(&(mixed ^ (mixed >> 31)).to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}
