//! Labels equal those of the crate `composefs-boot`, on made and random policies and trees.

use std::{collections::BTreeMap, ffi::OsStr, os::unix::ffi::OsStrExt, path::Path};

use composefs::{
    fsverity::{Algorithm, Sha256HashValue},
    repository::{Repository, RepositoryConfig},
    tree::{Directory, FileSystem, Inode, Stat},
};
use proptest::prelude::*;
use sealstone_store::tree::{Content, FileType, Metadata, Timestamp, Tree, XattrSet};

use super::*;
use crate::trees::oracle;

const METADATA: Metadata = Metadata { mode: 0o755, uid: 0, gid: 0, mtime: Timestamp { sec: 0, nsec: 0 } };

/// A file of a made image: its path, its type's letter, and what it says.
type File = (String, char, String);

/// Our tree of these files; a repeated content of type `h` is a hardlink to the path that it names.
fn our_tree(files: &[File]) -> Tree {
    let mut tree = Tree::new(METADATA);
    for (path, kind, text) in files {
        let (parent, name) = path.rsplit_once('/').unwrap();
        let mut folder = tree.root();
        for part in parent.split('/').filter(|part| !part.is_empty()) {
            folder = tree.lookup(folder, part.as_bytes()).unwrap_or_else(|| {
                let new = tree.add(METADATA, Content::Directory, XattrSet::EMPTY).unwrap();
                tree.link(folder, part.as_bytes(), new).unwrap();
                new
            });
        }
        let content = match kind {
            'd' => Content::Directory,
            'l' => Content::Symlink(text.as_bytes()),
            'c' => Content::CharDevice(0x103),
            'b' => Content::BlockDevice(0x103),
            'p' => Content::Fifo,
            's' => Content::Socket,
            _ => Content::Inline(text.as_bytes()),
        };
        let inode = match kind {
            'h' => tree.resolve(text.as_bytes()).unwrap(),
            _ => tree.add(METADATA, content, XattrSet::EMPTY).unwrap(),
        };
        tree.link(folder, name.as_bytes(), inode).unwrap();
    }
    tree
}

/// Path and label of everything, and which paths share an inode.
type Labels = BTreeMap<Vec<u8>, (Option<Vec<u8>>, usize)>;

fn our_labels(tree: &Tree) -> Labels {
    let mut labels = Labels::new();
    let mut walk = tree.walk();
    while let Some((path, inode)) = walk.next_entry() {
        let label = tree.xattrs(inode).get(SELINUX_XATTR).map(<[u8]>::to_vec);
        labels.insert(path.to_vec(), (label, inode.index()));
    }
    renumber(labels)
}

fn their_labels(fs: &FileSystem<Sha256HashValue>) -> Labels {
    fn fill(
        dir: &Directory<Sha256HashValue>,
        path: &Path,
        fs: &FileSystem<Sha256HashValue>,
        labels: &mut Labels,
    ) {
        let label = |stat: &Stat| stat.xattrs.get(OsStr::new("security.selinux")).map(|value| value.to_vec());
        labels.insert(path.as_os_str().as_bytes().to_vec(), (label(&dir.stat), usize::MAX - labels.len()));
        for (name, inode) in dir.sorted_entries() {
            let path = path.join(name);
            match inode {
                Inode::Directory(child) => fill(child, &path, fs, labels),
                Inode::Leaf(id, _) => {
                    let key = path.as_os_str().as_bytes().to_vec();
                    labels.insert(key, (label(&fs.leaf(*id).stat), id.0));
                }
            }
        }
    }
    let mut labels = Labels::new();
    fill(&fs.root, Path::new("/"), fs, &mut labels);
    renumber(labels)
}

/// Inodes numbered by their first path, so that only sharing is compared.
fn renumber(mut labels: Labels) -> Labels {
    let mut numbers = BTreeMap::new();
    for (_, inode) in labels.values_mut() {
        let next = numbers.len();
        *inode = *numbers.entry(*inode).or_insert(next);
    }
    labels
}

/// Labels the image both ways and compares; gives ours.
fn compare(files: &[File]) -> Labels {
    let mut ours = our_tree(files);
    let mut theirs = oracle::file_system(&ours);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("repo");
    let config = RepositoryConfig::new(Algorithm::SHA256).set_insecure();
    let (repo, _) = Repository::<Sha256HashValue>::init_path(rustix::fs::CWD, &path, config).unwrap();
    composefs_boot::selabel::selabel(&mut theirs, &repo).unwrap();

    let read = |_: &_, _| unreachable!("made images hold their bytes");
    if let Some(files) = read_policy(&ours, &read).unwrap() {
        label(&mut ours, &mut Policy::new(&files).unwrap()).unwrap();
    }
    let labels = our_labels(&ours);
    assert_eq!(labels, their_labels(&theirs));
    labels
}

fn file(path: &str, kind: char, text: &str) -> File {
    (path.into(), kind, text.into())
}

fn with_policy(contexts: &str, others: &[(&str, &str)], files: &[File]) -> Vec<File> {
    let mut all = vec![
        file("/etc/selinux/config", '-', "# x\nSELINUX=enforcing\nSELINUXTYPE=targeted\n"),
        file("/etc/selinux/targeted/contexts/files/file_contexts", '-', contexts),
    ];
    for (name, text) in others {
        all.push(file(&format!("/etc/selinux/targeted/contexts/files/{name}"), '-', text));
    }
    all.extend_from_slice(files);
    all
}

fn label_of<'a>(labels: &'a Labels, path: &str) -> Option<&'a str> {
    labels[path.as_bytes()].0.as_deref().map(|label| std::str::from_utf8(label).unwrap())
}

#[test]
fn the_last_line_that_matches_wins_by_path_and_type() {
    let contexts = "/.*\t\tdefault_t\n/usr(/.*)?  usr_t\n/usr/bin/.* -- bin_t\n/usr/bin/sh -l link_t\n\
                    /dev/.* -c char_t\n/dev/.* -b block_t\n/run/.* -p fifo_t\n/run/.* -s sock_t\n# end\n\n\
                    /proc(/.*)?  <<none>>\n/proc -d <<none>>\n";
    let labels = compare(&with_policy(
        contexts,
        &[],
        &[
            file("/usr/bin/bash", '-', ""),
            file("/usr/bin/sh", 'l', "bash"),
            file("/usr/bin/folder/x", '-', ""),
            file("/dev/null", 'c', ""),
            file("/dev/sda", 'b', ""),
            file("/run/fifo", 'p', ""),
            file("/run/sock", 's', ""),
            file("/proc/x", '-', ""),
        ],
    ));
    for (path, label) in [
        ("/", Some("default_t")),
        ("/usr", Some("usr_t")),
        ("/usr/bin", Some("usr_t")),
        ("/usr/bin/bash", Some("bin_t")),
        ("/usr/bin/sh", Some("link_t")),
        ("/usr/bin/folder/x", Some("bin_t")),
        ("/dev/null", Some("char_t")),
        ("/dev/sda", Some("block_t")),
        ("/run/fifo", Some("fifo_t")),
        ("/run/sock", Some("sock_t")),
        ("/proc", None),
        ("/proc/x", None),
    ] {
        assert_eq!(label_of(&labels, path), label, "{path}");
    }
}

#[test]
fn local_and_homedirs_override_and_aliases_carry_a_whole_subtree() {
    let labels = compare(&with_policy(
        "/.* default_t\n/usr/lib(/.*)? lib_t\n/var/home/u a_t\n",
        &[
            ("file_contexts.local", "/usr/lib/x local_t\n/home/u/.* home_local_t\n"),
            ("file_contexts.homedirs", "/home/u/.* home_t\n"),
            ("file_contexts.subs", "/opt/lib /usr/lib\n"),
            ("file_contexts.subs_dist", "# c\n/usr/lib64 /usr/lib\n/var/home /home\n"),
        ],
        &[
            file("/usr/lib/x", '-', ""),
            file("/usr/lib64/x", '-', ""),
            file("/opt/lib/y/z", '-', ""),
            file("/var/home/u/file", '-', ""),
        ],
    ));
    assert_eq!(label_of(&labels, "/usr/lib64/x"), Some("local_t"));
    assert_eq!(label_of(&labels, "/opt/lib/y/z"), Some("lib_t"));
    assert_eq!(label_of(&labels, "/var/home/u/file"), Some("home_t"));
}

#[test]
fn a_hardlink_whose_names_want_different_labels_becomes_two_files() {
    let labels = compare(&with_policy(
        "/.* default_t\n/b/.* b_t\n/z b_t\n",
        &[],
        &[
            file("/b/one", '-', "content"),
            file("/b/two", 'h', "/b/one"),
            file("/c", 'h', "/b/one"),
            file("/d", 'h', "/b/one"),
            file("/z", 'h', "/b/one"),
        ],
    ));
    let inode = |path: &str| labels[path.as_bytes()].1;
    assert_eq!(inode("/b/one"), inode("/b/two"));
    assert_eq!(inode("/b/one"), inode("/z"));
    assert_ne!(inode("/b/one"), inode("/c"));
}

#[test]
fn patterns_that_look_around_are_honoured() {
    let labels = compare(&with_policy(
        "/.* default_t\n/usr/(?!bin).* not_bin_t\n/usr/lib/(?=a)[^/]+ -- a_t\n/usr/lib/ab plain_t\n",
        &[],
        &[
            file("/usr/bin/x", '-', ""),
            file("/usr/share/x", '-', ""),
            file("/usr/lib/ac", '-', ""),
            file("/usr/lib/ab", '-', ""),
        ],
    ));
    assert_eq!(label_of(&labels, "/usr/bin/x"), Some("default_t"));
    assert_eq!(label_of(&labels, "/usr/share/x"), Some("not_bin_t"));
    assert_eq!(label_of(&labels, "/usr/lib/ac"), Some("a_t"));
    assert_eq!(label_of(&labels, "/usr/lib/ab"), Some("plain_t"));
}

#[test]
fn an_image_without_a_policy_gets_no_labels() {
    for config in ["", "SELINUX=disabled\n", "#SELINUXTYPE=targeted\n"] {
        let labels = compare(&[file("/etc/selinux/config", '-', config), file("/usr/x", '-', "")]);
        assert_eq!(label_of(&labels, "/usr/x"), None);
    }
    compare(&[file("/usr/x", '-', "")]);
}

#[test]
fn a_policy_that_cannot_be_read_is_an_error_with_its_place() {
    let bad = |contexts: &str, others: &[(&str, &str)]| {
        let tree = our_tree(&with_policy(contexts, others, &[]));
        let files = read_policy(&tree, &|_, _| unreachable!()).unwrap().unwrap();
        Policy::new(&files).unwrap_err().to_string()
    };
    assert!(bad("/a\n", &[]).contains("file_contexts line 1"));
    assert!(bad("/a t\n/b -x t\n", &[]).contains("file_contexts line 2: an unknown file type"));
    assert!(bad("/a -- t more\n", &[]).contains("line 1"));
    assert!(bad("/a t\n/( t\n", &[]).contains("pattern"));
    assert!(bad("/a t", &[("file_contexts.subs", "/only\n")]).contains("file_contexts.subs line 1"));
    let tree = our_tree(&[file("/etc/selinux/config", '-', "SELINUXTYPE=mls\n")]);
    assert!(read_policy(&tree, &|_, _| unreachable!()).is_err());
}

fn random_files() -> impl Strategy<Value = Vec<File>> {
    let path = "(/[a-c]{1,2}){1,3}";
    proptest::collection::btree_map(
        path,
        prop_oneof![Just('-'), Just('l'), Just('c'), Just('p'), Just('d')],
        0..12,
    )
    .prop_map(|files| {
        let mut kept: Vec<File> = Vec::new();
        for (path, kind) in files {
            let inside =
                kept.iter().any(|(other, kind, _)| *kind != 'd' && path.starts_with(&format!("{other}/")));
            if !inside {
                kept.push((path, kind, "x".into()));
            }
        }
        kept
    })
}

fn random_lines() -> impl Strategy<Value = String> {
    let pattern = "(/[a-c.]{1,2}(\\(/\\.\\*\\)\\?)?|/\\.\\*|/\\[ab\\]\\+|/a/\\[\\^/\\]\\+){1,2}";
    let kind = prop_oneof![Just(""), Just("-- "), Just("-d "), Just("-l "), Just("-c ")];
    let context = prop_oneof![Just("a_t"), Just("b_t"), Just("c_t"), Just("<<none>>")];
    proptest::collection::vec((pattern, kind, context), 0..8).prop_map(|lines| {
        lines.iter().fold(String::new(), |text, (pattern, kind, context)| {
            text + &format!("{pattern}\t{kind}{context}\n")
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn random_policies_label_random_trees_as_the_peer_does(contexts in random_lines(), homedirs in random_lines(), files in random_files()) {
        compare(&with_policy(&contexts, &[("file_contexts.homedirs", &homedirs)], &files));
    }
}

#[test]
fn every_file_type_has_its_letter() {
    let mut policy = Policy::new(&PolicyFiles {
        contexts: "/x -- f\n/x -b b\n/x -s s\n".into(),
        ..PolicyFiles::default()
    })
    .unwrap();
    assert_eq!(policy.lookup(b"/x", FileType::Regular).unwrap(), Some("f"));
    assert_eq!(policy.lookup(b"/x", FileType::BlockDevice).unwrap(), Some("b"));
    assert_eq!(policy.lookup(b"/x", FileType::Socket).unwrap(), Some("s"));
    assert_eq!(policy.lookup(b"/x", FileType::Directory).unwrap(), None);
}
