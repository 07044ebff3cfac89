//! The stored record of a layer: its tree, and which stream it was made from.
//!
//! A record lies in the repository's cache under the layer's diff_id: the id of the layer's stream (64 bytes, a shorter
//! one followed by zeros), how strictly the layer can be read (1 byte), then the tree's encoding. It counts only while the
//! stream of that name is that very object: then we made both, from a tar whose digest we checked. Whatever else the
//! store has under a layer's name, from another program for instance, is not believed. And it counts only for an import
//! that would have accepted the layer: what a lenient one let in is no way past a strict one.

use sealstone_store::{ObjectId, Optional, Repository, Transaction, layout};

use crate::{
    DiffId, ImportOptions, error::Result, layer_tree::LayerTree, streams::layer_stream, tar::Strictness,
};

/// The length of the stream's id, in bytes.
const ID: usize = 64;

/// The length of what comes before the tree, in bytes.
const HEAD: usize = ID + 1;

/// What the store has of a layer.
pub(crate) enum StoredLayer {
    /// Nothing, or nothing that this import may use.
    Absent,
    /// A stream, and no record that fits it.
    Stream(ObjectId),
    /// The stream and its tree.
    Whole(ObjectId, LayerTree),
    /// The stream, of which the tree is not wanted.
    Unread(ObjectId),
}

/// Looks for a layer.
///
/// # Errors
/// When the store fails; damage to a record only makes it not count.
pub(crate) fn find(
    repository: &Repository,
    diff_id: &DiffId,
    options: &ImportOptions,
) -> Result<StoredLayer> {
    let Some(stream) = repository.stream(&layer_stream(diff_id)?).optional()? else {
        return Ok(StoredLayer::Absent);
    };
    if !repository.has_object(&stream)? {
        return Ok(StoredLayer::Absent);
    }
    let Some(file) = repository.dir().open_file(path_of(diff_id)).optional()? else {
        return Ok(StoredLayer::Stream(stream));
    };
    let limits = &options.limits;
    let limit = limits.tree_record_bytes.saturating_add(HEAD) as u64;
    let Ok(bytes) = file.read_all(limit) else { return Ok(StoredLayer::Stream(stream)) };
    let fits = bytes.split_first_chunk::<ID>().filter(|(id, _)| **id == padded(&stream));
    let record = fits.and_then(|(_, rest)| {
        let (code, tree) = rest.split_first()?;
        let tree =
            LayerTree::decode(tree, limits).ok().filter(|tree| tree.algorithm() == repository.algorithm());
        Some((decode_strictness(*code)?, tree?))
    });
    Ok(match record {
        // Read from the source, to be refused with its reason.
        Some((strictest, _)) if strictest < options.strictness => StoredLayer::Absent,
        Some((_, tree)) => StoredLayer::Whole(stream, tree),
        None => StoredLayer::Stream(stream),
    })
}

/// Looks for a layer whose tree is not wanted: [`find`] without reading it.
///
/// # Errors
/// When the store fails.
pub(crate) fn find_unread(
    repository: &Repository,
    diff_id: &DiffId,
    options: &ImportOptions,
) -> Result<StoredLayer> {
    let Some(stream) = repository.stream(&layer_stream(diff_id)?).optional()? else {
        return Ok(StoredLayer::Absent);
    };
    if !repository.has_object(&stream)? {
        return Ok(StoredLayer::Absent);
    }
    let unread = StoredLayer::Unread(stream);
    let Some(file) = repository.dir().open_file(path_of(diff_id)).optional()? else { return Ok(unread) };
    let mut head = [0; HEAD];
    let is_whole = file.read_at(0, &mut head)? == HEAD;
    let (id, code) = head.split_at(ID);
    let strictest = code.first().and_then(|code| decode_strictness(*code));
    if !is_whole || id != padded(&stream) || strictest.is_none_or(|strictest| strictest >= options.strictness)
    {
        // A record that does not count, or one that does: the stream is there in either case.
        return Ok(unread);
    }
    // Refused for its strictness, if the rest of it is whole.
    Ok(match find(repository, diff_id, options)? {
        StoredLayer::Absent => StoredLayer::Absent,
        _ => unread,
    })
}

/// Whether an import with these options would use what the store has of a layer.
///
/// # Errors
/// When the store fails.
pub(crate) fn is_present(repository: &Repository, diff_id: &DiffId, options: &ImportOptions) -> Result<bool> {
    Ok(!matches!(find_unread(repository, diff_id, options)?, StoredLayer::Absent))
}

fn path_of(diff_id: &DiffId) -> String {
    format!("{}/{}/{diff_id}", layout::OWN, layout::LAYERS)
}

/// Stores a layer's record, to be found after the commit.
///
/// # Errors
/// When the store fails.
pub(crate) fn store(
    transaction: &Transaction,
    diff_id: &DiffId,
    stream: &ObjectId,
    tree: &LayerTree,
    strictest: Strictness,
) -> Result<()> {
    let mut bytes = Vec::with_capacity(HEAD + tree.encoded_len());
    bytes.extend_from_slice(&padded(stream));
    bytes.push(encode_strictness(strictest));
    bytes.extend_from_slice(&tree.encode());
    Ok(transaction.cache_layer(&diff_id.to_string(), &bytes)?)
}

const fn encode_strictness(strictest: Strictness) -> u8 {
    match strictest {
        Strictness::Lenient => 1,
        Strictness::Normal => 2,
        Strictness::Strict => 3,
    }
}

const fn decode_strictness(code: u8) -> Option<Strictness> {
    match code {
        1 => Some(Strictness::Lenient),
        2 => Some(Strictness::Normal),
        3 => Some(Strictness::Strict),
        _ => None,
    }
}

fn padded(id: &ObjectId) -> [u8; ID] {
    let mut bytes = [0; ID];
    for (place, byte) in bytes.iter_mut().zip(id.as_bytes()) {
        *place = *byte;
    }
    bytes
}

/// The tree of a layer that the repository has, if an import with these options would use it.
///
/// # Errors
/// When the store fails; damage to a record only makes it not count.
pub fn stored_layer(
    repository: &Repository,
    diff_id: &DiffId,
    options: &ImportOptions,
) -> Result<Option<LayerTree>> {
    Ok(match find(repository, diff_id, options)? {
        StoredLayer::Whole(_, tree) => Some(tree),
        StoredLayer::Stream(_) | StoredLayer::Unread(_) | StoredLayer::Absent => None,
    })
}
