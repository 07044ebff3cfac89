//! Every bound of the importer, in one table.
//!
//! What lives here: the numbers, each with its unit and its reason. What does not: the code that enforces them, which
//! answers with a typed refusal that names the bound.
//!
//! Invariant: none is unlimited. Each can be set by the caller; a raised one costs what its line says.

/// Bytes of one `WWW-Authenticate` header that are read: 16 KiB. What comes after them is left out, so no caller can
/// need more.
pub(crate) const CHALLENGE_BYTES: usize = 16 << 10;

/// The importer's bounds. Start from [`Limits::default`] and change what you must.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Bytes of an index, a manifest, or an image's configuration: 4 MiB each, containers/image's bound (CVE-2020-1702).
    pub document_bytes: u64,
    /// Bytes of one file that configures registries, of a certificate or key, and of a credential helper's answer: 1 MiB.
    pub config_bytes: u64,
    /// Indexes within indexes: 4.
    pub index_depth: usize,
    /// Documents read while an image is chosen: 256.
    pub documents: usize,
    /// Images that all indexes of a source name together: 16 Ki, all of them held in memory. One index can be named by
    /// another as often as documents may be read.
    pub index_entries: usize,
    /// Layers of one image: 1,024.
    pub layers: usize,
    /// Entries of an archive of images: 64 Ki, all of them indexed in memory.
    pub archive_entries: usize,
    /// Bytes of an archive that is unpacked into a temporary file, since it is compressed or comes through a pipe: 256 GiB.
    pub copy_bytes: u64,
    /// Bytes of a list of the images or layers of a containers-storage: 32 MiB, held in memory.
    pub storage_document_bytes: u64,
    /// Bytes of one layer's blob, of its tar, and of its sparse files together, holes expanded: 64 GiB.
    pub layer_bytes: u64,
    /// Bytes of one line of a tar-split: 8 MiB, held in memory. A line has the headers of one file, PAX records in base64
    /// among them, or a piece of padding, of which its writers make 1 MiB at most.
    pub tar_split_line_bytes: usize,
    /// Bytes of a zstd:chunked layer's table of contents, unpacked: 128 MiB, read as a stream; of its files some 100 bytes
    /// each are kept.
    pub chunked_toc_bytes: u64,
    /// Bytes of that table and of the tar-split, packed, both held in memory: 64 MiB. A layer for which either is too much
    /// is read whole.
    pub chunked_packed_bytes: u64,
    /// Bytes out for one byte in, of a compressed layer: 1,100. Deflate cannot exceed 1,032; zstd can.
    pub layer_ratio: u64,
    /// Bytes that may come out before the ratio counts: 64 MiB.
    pub layer_ratio_after: u64,
    /// Bytes of a zstd window: 128 MiB, libzstd's own default. Above 8 MiB one decoder at a time.
    pub zstd_window_bytes: u64,
    /// Entries of one layer, implicit parents and whiteouts included: 4 Mi. A layer tree takes up to 200 bytes each.
    pub entries: u32,
    /// Bytes of one path, without a leading or trailing slash: 4,095, the kernel's `PATH_MAX` less its NUL.
    pub path_bytes: usize,
    /// Bytes of one path component: 255, the kernel's `NAME_MAX` and EROFS's longest name.
    pub name_bytes: usize,
    /// Components of one path: 1,024. Trees are walked with a stack of this depth.
    pub path_depth: usize,
    /// Bytes of a symlink's target: 4,095. EROFS stores more, but `readlink` then fails.
    pub symlink_bytes: usize,
    /// Symlinks of its own layer that one path may lead through: 40, as in the kernel.
    pub symlinks_followed: usize,
    /// Components that one path may visit while symlinks are followed: 4,096. Bounds the work of a hostile entry.
    pub components_visited: usize,
    /// Bytes of one extended header (PAX `x`, `g`, GNU `L`, `K`): 1 MiB, Go's bound. Held in memory, four at most.
    pub extended_header_bytes: u64,
    /// Bytes of an extended attribute's name: 255, the kernel's `XATTR_NAME_MAX`.
    pub xattr_name_bytes: usize,
    /// Bytes of an extended attribute's value: 64 KiB, the kernel's `XATTR_SIZE_MAX`.
    pub xattr_value_bytes: usize,
    /// Bytes of all names and values of one inode: 64 KiB, the kernel's `XATTR_LIST_MAX` and what EROFS can count.
    pub xattrs_bytes: usize,
    /// Data segments of one sparse file: 64 Ki, 16 bytes of memory each (CVE-2025-58183 had no bound).
    pub sparse_segments: usize,
    /// Bytes of one file, holes expanded: 16 TiB, ext4's largest.
    pub file_bytes: u64,
    /// Bytes after the end of the archive, counted from the first that is not zero: 64 MiB. Zero padding is bounded by
    /// the layer's own size alone; it is streamed, never gathered (moby#35075).
    pub trailing_bytes: u64,
    /// Warnings kept for one image: 1,024. Later ones are counted only.
    pub warnings: usize,
    /// Places kept of each kind of normalisation in a layer: 8. Later ones are counted only.
    pub examples: usize,
    /// Bytes of names, symlink targets, inline bodies and attributes of one layer's tree: 512 MiB, held in memory.
    pub tree_heap_bytes: usize,
    /// Bytes of the trees of all layers of an image, which wait in memory until they are merged: 1 GiB. Without it, a
    /// megabyte of layers that are all headers could take a terabyte.
    pub image_tree_bytes: u64,
    /// Bytes of a stored layer tree that is decoded: 1 GiB.
    pub tree_record_bytes: usize,
}

/// Bytes of a token server's answer: 1 MiB, containers/image's bound.
pub(crate) const TOKEN_BYTES: u64 = 1 << 20;

/// Bytes that are read of the body of an answer that is none: 64 KiB.
pub(crate) const REFUSAL_BYTES: u64 = 64 << 10;

/// Bytes of the headers of one answer of a registry: 64 KiB.
pub(crate) const HEADER_BYTES: usize = 64 << 10;

/// Signatures of one image that are looked at: 128. Each is fetched by a request of its own.
pub(crate) const SIGNATURES: usize = 128;

/// Bytes of what one of them signs: 64 KiB, some lines of JSON.
pub(crate) const SIGNATURE_BYTES: u64 = 64 << 10;

/// Bytes of a manifest that is read back after a push: 4 MiB.
pub(crate) const MANIFEST_BACK: u64 = 4 << 20;

/// Redirects that one request follows: 10.
pub(crate) const REDIRECTS: usize = 10;

impl Default for Limits {
    fn default() -> Self {
        Self {
            document_bytes: 4 << 20,
            config_bytes: 1 << 20,
            index_depth: 4,
            documents: 256,
            index_entries: 16 << 10,
            layers: 1024,
            archive_entries: 64 << 10,
            copy_bytes: 256 << 30,
            storage_document_bytes: 32 << 20,
            layer_bytes: 64 << 30,
            tar_split_line_bytes: 8 << 20,
            chunked_toc_bytes: 128 << 20,
            chunked_packed_bytes: 64 << 20,
            layer_ratio: 1100,
            layer_ratio_after: 64 << 20,
            zstd_window_bytes: 128 << 20,
            entries: 4 << 20,
            path_bytes: 4095,
            name_bytes: 255,
            path_depth: 1024,
            symlink_bytes: 4095,
            symlinks_followed: 40,
            components_visited: 4096,
            extended_header_bytes: 1 << 20,
            xattr_name_bytes: 255,
            xattr_value_bytes: 64 << 10,
            xattrs_bytes: 64 << 10,
            sparse_segments: 64 << 10,
            file_bytes: 16 << 40,
            trailing_bytes: 64 << 20,
            warnings: 1024,
            examples: 8,
            tree_heap_bytes: 512 << 20,
            image_tree_bytes: 1 << 30,
            tree_record_bytes: 1 << 30,
        }
    }
}
