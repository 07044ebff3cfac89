//! A large tree like that of an operating system, always the same.

use sealstone_store::{
    Algorithm, ObjectId,
    tree::{Content, Metadata, Timestamp, Tree},
};

/// How many files are in a folder.
const FILES: u32 = 40;

/// About so many entries: 40 files to a folder, a SELinux label on each, four fifths of the files objects (each tenth
/// of them like another), the rest small files and symlinks; two thirds with a time of their own.
pub fn tree(entries: u32) -> Tree {
    let metadata = |mode, n: u32| {
        let sec = if n.is_multiple_of(3) { 1_600_000_000 } else { 1_600_000_000 + i64::from(n % 10_000) };
        Metadata { mode, uid: 0, gid: 0, mtime: Timestamp { sec, nsec: 0 } }
    };
    let mut tree = Tree::with_capacity(metadata(0o755, 0), entries as usize);
    let labels: Vec<_> = ["usr_t", "lib_t", "bin_t", "etc_t", "var_lib_t"]
        .iter()
        .map(|name| {
            let value = format!("system_u:object_r:{name}:s0");
            tree.intern_xattrs(&[(b"security.selinux", value.as_bytes())]).unwrap()
        })
        .collect();
    for folder in 0..entries / (FILES + 1) {
        let label = labels[folder as usize % labels.len()];
        let directory = tree.add(metadata(0o755, folder), Content::Directory, label).unwrap();
        tree.link(tree.root(), format!("folder-{folder:06}").as_bytes(), directory).unwrap();
        for file in 0..FILES {
            let n = folder * FILES + file;
            let target = format!("../folder-{folder:06}/file-{file:04}.so.1");
            let content = match n % 20 {
                0 | 1 => Content::Symlink(target.as_bytes()),
                2 | 3 => Content::Inline(b"a small file\n"),
                kind => Content::External {
                    object: object(if kind < 6 { n / 50 } else { n }),
                    size: (n % 500_000 + 65).into(),
                },
            };
            let inode = tree.add(metadata(0o644, n), content, label).unwrap();
            tree.link(directory, format!("file-{file:04}.so.1.2.3").as_bytes(), inode).unwrap();
        }
    }
    tree
}

/// An id that looks random.
fn object(n: u32) -> ObjectId {
    let mut state = u64::from(n) + 1;
    let digest: Vec<u8> = (0..32)
        .map(|_| {
            state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
            state.to_be_bytes()[0]
        })
        .collect();
    ObjectId::from_digest(Algorithm::Sha256, &digest).unwrap()
}
