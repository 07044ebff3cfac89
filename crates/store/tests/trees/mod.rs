//! Trees for the tests of images and dumps: a proptest corpus, and the way from our trees to the oracle's.
//!
//! What lives here: generators and conversion. What does not: any judgement, which is each test's own.

#![allow(dead_code, reason = "each test uses its part")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests fail as tests do")]

pub mod oracle;
pub mod synthetic;

use proptest::{collection::vec, prelude::*, sample::select};
use sealstone_store::{
    Algorithm, ObjectId,
    tree::{Content, InodeId, Metadata, OBJECT_MAX, Timestamp, Tree, XattrSet},
};

/// What a generated tree may hold, since oracles have limits of their own.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub algorithm: Algorithm,
    /// The largest content kept inside the image.
    pub inline_max: usize,
    pub target_max: usize,
    pub has_negative_mtimes: bool,
    /// The most attributes that one file gets, and the longest value.
    pub xattrs_max: usize,
    pub value_max: usize,
}

/// All that the format can hold.
pub const ALL: Limits = Limits {
    algorithm: Algorithm::Sha256,
    inline_max: 20_000,
    target_max: 4095,
    has_negative_mtimes: true,
    xattrs_max: 6,
    value_max: 5_000,
};

/// What the parsers of dumps take: the crate's (content 512, targets 1,024, no times before 1970).
pub const DUMPABLE: Limits =
    Limits { inline_max: 512, target_max: 1024, has_negative_mtimes: false, xattrs_max: 5, ..ALL };

/// What fits into an image of format V2 wherever it comes: contents and targets of a block, all but 32 bytes.
pub const IN_V2: Limits = Limits { inline_max: 2049, target_max: 4052, ..ALL };

#[derive(Clone, Debug)]
enum Kind {
    Directory,
    Inline(Vec<u8>),
    External([u8; 2], u64),
    Symlink(usize),
    CharDevice(u32),
    BlockDevice(u32),
    Fifo,
    Socket,
    /// Another name for the n-th file.
    Link(usize),
}

#[derive(Clone, Debug)]
struct Step {
    parent: usize,
    name: Vec<u8>,
    metadata: Metadata,
    xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    kind: Kind,
}

/// Any tree within the limits.
pub fn trees(limits: Limits) -> impl Strategy<Value = Tree> {
    (metadata(limits), xattrs(limits), vec(step(limits), 0..80))
        .prop_map(move |(root, xattrs, steps)| build(limits, root, &xattrs, &steps))
}

fn step(limits: Limits) -> impl Strategy<Value = Step> {
    (0..100_usize, name(), metadata(limits), xattrs(limits), kind(limits))
        .prop_map(|(parent, name, metadata, xattrs, kind)| Step { parent, name, metadata, xattrs, kind })
}

fn name() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        6 => "[a-c]{1,4}".prop_map(String::into_bytes),
        1 => "[0-9a-f]{2}".prop_map(String::into_bytes),
        1 => select(vec!["!", "-", ".a", "..", "...", ".-", "=", "\\", " x", "\n", "é", "~"]).prop_map(|name| {
            if name == ".." { b"..b".to_vec() } else { name.as_bytes().to_vec() }
        }),
        1 => vec((1..=255_u8).prop_filter("a slash", |byte| *byte != b'/'), 3..6),
        1 => (200..=255_usize, "[a-c]{3}").prop_map(|(len, head)| {
            let mut name = head.into_bytes();
            name.resize(len, b'n');
            name
        }),
    ]
}

fn metadata(limits: Limits) -> impl Strategy<Value = Metadata> {
    let past = if limits.has_negative_mtimes { vec![-1, i64::MIN, -1_000_000] } else { vec![0, 1] };
    let seconds = prop_oneof![
        8 => select(vec![1_700_000_000, 1_700_000_001]),
        1 => select(vec![0, 1, i64::from(u32::MAX) + 1, i64::MAX]),
        1 => select(past),
    ];
    let nanoseconds = prop_oneof![4 => Just(0_u32), 1 => select(vec![1, 999_999_999])];
    let owner = || prop_oneof![4 => Just(0_u32), 1 => select(vec![1000, 65_535, 65_536, u32::MAX])];
    (select(vec![0o644, 0o755, 0, 0o7777, 0o4755]), owner(), owner(), seconds, nanoseconds)
        .prop_map(|(mode, uid, gid, sec, nsec)| Metadata { mode, uid, gid, mtime: Timestamp { sec, nsec } })
}

fn xattrs(limits: Limits) -> impl Strategy<Value = Vec<(Vec<u8>, Vec<u8>)>> {
    let names = vec![
        "security.selinux",
        "security.capability",
        "system.posix_acl_access",
        "system.posix_acl_default",
        "user.a",
        "user.overlay.origin",
        "trusted.b",
        "trusted.overlay.metacopy",
        "trusted.overlay.redirect",
        "trusted.overlay.overlay.x",
        "trusted.overlay.origin",
        "trusted.z",
        "lustre.lov",
        "security=\\ \n",
        "other",
    ];
    let value = prop_oneof![
        6 => select(vec!["", "y", "-", "a=b", "system_u:object_r:usr_t:s0", "\u{0}\u{1}"])
            .prop_map(|value| value.as_bytes().to_vec()),
        1 => (0..=limits.value_max, any::<u8>()).prop_map(|(len, byte)| vec![byte; len]),
        1 => vec(any::<u8>(), 0..5),
    ];
    let long = "[a-z]{200,250}".prop_map(|name| format!("user.{name}").into_bytes());
    let name = prop_oneof![12 => select(names).prop_map(|name| name.as_bytes().to_vec()), 1 => long];
    prop_oneof![
        3 => Just(Vec::new()),
        3 => Just(vec![(b"security.selinux".to_vec(), b"system_u:object_r:etc_t:s0".to_vec())]),
        3 => proptest::collection::btree_map(name, value, 0..=limits.xattrs_max)
            .prop_map(|map| map.into_iter().collect()),
    ]
}

fn kind(limits: Limits) -> impl Strategy<Value = Kind> {
    let edges = [0, 1, 63, 64, 65, 500, 512, 2047, 2048, 2049, 4095, 4096, 4097, 6144, 6145, 8192, 20_000];
    let lengths: Vec<usize> = edges.into_iter().filter(|len| *len <= limits.inline_max).collect();
    let inline = (select(lengths), any::<u8>())
        .prop_map(|(len, seed)| (0..len).map(|i| seed.wrapping_add(i.to_le_bytes()[0])).collect());
    let sizes =
        vec![1, 64, 4096, 4097, 1 << 20, u64::from(u32::MAX), 4 << 30, (1 << 43) + 1, 1023 << 43, OBJECT_MAX];
    let digest = prop_oneof![2 => select(vec![[0, 0], [0, 1], [9, 9]]), 3 => any::<[u8; 2]>()];
    let targets = vec![1, 2, 20, 59, 1024, 3000, 3900, 3980, 4052, 4095];
    let targets: Vec<usize> = targets.into_iter().filter(|len| *len <= limits.target_max).collect();
    prop_oneof![
        4 => Just(Kind::Directory),
        2 => inline.prop_map(Kind::Inline),
        4 => (digest, select(sizes)).prop_map(|(digest, size)| Kind::External(digest, size)),
        2 => select(targets).prop_map(Kind::Symlink),
        1 => select(vec![0, 1, 0x0501, u32::MAX]).prop_map(Kind::CharDevice),
        1 => select(vec![0, 1, 0x0801]).prop_map(Kind::BlockDevice),
        1 => Just(Kind::Fifo),
        1 => Just(Kind::Socket),
        3 => (0..100_usize).prop_map(Kind::Link),
    ]
}

fn build(limits: Limits, root: Metadata, xattrs: &[(Vec<u8>, Vec<u8>)], steps: &[Step]) -> Tree {
    let mut tree = Tree::new(root);
    let set = intern(&mut tree, xattrs);
    tree.set_xattrs(tree.root(), set);
    let mut directories = vec![tree.root()];
    let mut files: Vec<InodeId> = Vec::new();
    for step in steps {
        let parent = directories[step.parent % directories.len()];
        if tree.lookup(parent, &step.name).is_some() {
            continue;
        }
        let inode = match &step.kind {
            Kind::Link(_) if files.is_empty() => continue,
            Kind::Link(nth) => files[nth % files.len()],
            kind => {
                let set = intern(&mut tree, &step.xattrs);
                add(&mut tree, limits, step.metadata, kind, set)
            }
        };
        tree.link(parent, &step.name, inode).unwrap();
        match step.kind {
            Kind::Directory => directories.push(inode),
            // A whiteout with two names is refused by the oracle.
            Kind::Link(_) | Kind::CharDevice(0) => {}
            _ => files.push(inode),
        }
    }
    tree
}

fn intern(tree: &mut Tree, xattrs: &[(Vec<u8>, Vec<u8>)]) -> XattrSet {
    let pairs: Vec<_> = xattrs.iter().map(|(name, value)| (&name[..], &value[..])).collect();
    tree.intern_xattrs(&pairs).unwrap()
}

fn add(tree: &mut Tree, limits: Limits, mut metadata: Metadata, kind: &Kind, set: XattrSet) -> InodeId {
    let target;
    let content = match kind {
        Kind::Directory | Kind::Link(_) => Content::Directory,
        Kind::Inline(bytes) => Content::Inline(bytes),
        Kind::External(digest, size) => {
            Content::External { object: object(limits.algorithm, *digest), size: *size }
        }
        Kind::Symlink(len) => {
            target = vec![b't'; *len];
            Content::Symlink(&target)
        }
        Kind::CharDevice(number) => {
            // The oracle takes a whiteout in the root for one of its stubs if it looks like one.
            metadata.mode = 0o600;
            Content::CharDevice(*number)
        }
        Kind::BlockDevice(number) => Content::BlockDevice(*number),
        Kind::Fifo => Content::Fifo,
        Kind::Socket => Content::Socket,
    };
    tree.add(metadata, content, set).unwrap()
}

/// The object id that is made of two bytes.
pub fn object(algorithm: Algorithm, [first, last]: [u8; 2]) -> ObjectId {
    let mut digest = vec![0x5a; algorithm.digest_len()];
    digest[0] = first;
    *digest.last_mut().unwrap() = last;
    ObjectId::from_digest(algorithm, &digest).unwrap()
}
