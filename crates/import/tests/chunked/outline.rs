//! What a layer holds, told by its table of contents and tar-split alone: the tree of an import, small files, few bytes.

use sealstone_import::{
    ImportError, ImportOptions, Limits,
    layer_tree::{EntryKind, LayerEntry, LayerInode, LayerTree},
    look_at_documents, stored_layer,
    zstd_chunked::LayerOutline,
};
use sealstone_store::{Algorithm, ObjectId, tree::Content};
use serde_json::json;

use crate::{
    kit::{Images, Layer, Machine, TOC_DIGEST, TOC_PLACE, sha256, source, tree},
    server::{Reply, Server},
};

/// Reads the outline of the one layer under the tag `os`.
fn outline(server: &Server, limits: Limits) -> Result<Option<LayerOutline>, ImportError> {
    let source = source(server, "os");
    let mut options = ImportOptions::default();
    options.limits = limits;
    let image = look_at_documents(None, &source, &options).unwrap();
    let layer = &image.layers[0];
    let fetched = LayerOutline::fetch(&source, &layer.descriptor, Algorithm::Sha512, &options)?;
    assert!(fetched.is_none() || LayerOutline::fetch_bytes(&layer.descriptor).is_some());
    Ok(fetched)
}

fn serve(layer: &Layer) -> Server {
    Images::of(&[("os", layer)]).serve(|_, _, _| None)
}

/// Path, kind, metadata, links and sizes of all that a tree has.
fn lines(tree: &LayerTree) -> Vec<String> {
    fn walk(entry: LayerEntry<'_>, path: &str, found: &mut Vec<String>) {
        let size = entry.inode().map(|inode| match inode.content() {
            Content::Inline(bytes) => bytes.len() as u64,
            Content::External { size, .. } => size,
            _ => 0,
        });
        let metadata = entry.inode().map(LayerInode::metadata);
        found.push(format!("{path} {:?} {metadata:?} {size:?} {}", entry.kind(), entry.is_opaque()));
        for child in entry.children() {
            walk(child, &format!("{path}/{}", String::from_utf8_lossy(child.name())), found);
        }
    }
    let mut found = Vec::new();
    walk(tree.root(), "", &mut found);
    found
}

/// The id that stands for a file's content.
fn id_of(tree: &LayerTree, path: &str) -> ObjectId {
    let mut entry = tree.root();
    for name in path.split('/') {
        entry = entry.children().find(|child| child.name() == name.as_bytes()).unwrap();
    }
    assert_eq!(entry.kind(), EntryKind::Leaf);
    match entry.inode().unwrap().content() {
        Content::External { object, .. } => object,
        other => panic!("{other:?}"),
    }
}

/// With whiteouts, links of both kinds and an empty file.
fn motley() -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_mode(0o640);
    for (path, body) in [
        ("etc/one", &b"one\n"[..]),
        ("etc/.wh.gone", b""),
        ("usr/lib/.wh..wh..opq", b""),
        ("usr/lib/empty", b""),
    ] {
        header.set_size(body.len() as u64);
        tar.append_data(&mut header, path, body).unwrap();
    }
    header.set_size(0);
    for (kind, path, target) in [
        (tar::EntryType::Symlink, "usr/link", "lib/empty"),
        (tar::EntryType::Link, "usr/hard", "etc/one"),
        (tar::EntryType::Link, "usr/below", "of/a/lower/layer"),
    ] {
        header.set_entry_type(kind);
        tar.append_link(&mut header, path, target).unwrap();
    }
    tar.into_inner().unwrap()
}

#[test]
fn an_outline_has_the_tree_that_an_import_makes() {
    for tar in [tree(1), motley()] {
        let layer = Layer::pack(&tar);
        let server = serve(&layer);
        let told = outline(&server, Limits::default()).unwrap().unwrap();
        let machine = Machine::new();
        machine.pull(&server, "os").unwrap();
        let diff_id = layer.diff_id.parse().unwrap();
        let imported =
            stored_layer(&machine.repository, &diff_id, &ImportOptions::default()).unwrap().unwrap();
        assert_eq!(lines(told.tree()), lines(&imported));
    }
}

#[test]
fn small_files_are_read_by_few_small_parts_and_big_ones_are_not() {
    let layer = Layer::pack(&tree(1));
    let server = serve(&layer);
    let mut told = outline(&server, Limits::default()).unwrap().unwrap();
    let source = source(&server, "os");
    let before = server.requests().len();
    for number in [20_u64, 21, 22, 23] {
        let id = id_of(told.tree(), &format!("usr/share/file{number:03}"));
        let body = told.read(&source, &id, 1 << 20).unwrap().unwrap();
        let seed = if number == 23 { 1023 } else { number };
        assert_eq!(body, crate::kit::noise(3000 + usize::try_from(number).unwrap() * 331, seed));
    }
    let tiny = id_of(told.tree(), "usr/tiny");
    assert_eq!(told.read(&source, &tiny, 1 << 20).unwrap().unwrap(), b"tiny");
    let requests = server.requests().split_off(before);
    assert_eq!(requests.len(), 2, "neighbours come along: {requests:?}");
    // Zeros are nowhere in the blob.
    let zeros = id_of(told.tree(), "usr/zeros");
    assert_eq!(told.read(&source, &zeros, 1 << 20).unwrap().unwrap().len(), 302_000);
    let big = id_of(told.tree(), "usr/big");
    let error = told.read(&source, &big, 100_000).unwrap_err();
    assert!(matches!(error, ImportError::TooBig { .. }), "{error}");
    let stranger = ObjectId::from_digest(Algorithm::Sha512, &[7; 64]).unwrap();
    assert_eq!(told.read(&source, &stranger, 1 << 20).unwrap(), None);
}

#[test]
fn a_sheet_that_is_not_what_the_manifest_says_is_an_error() {
    let mut layer = Layer::pack(&tree(1));
    layer.annotations.insert(TOC_DIGEST.to_owned(), sha256(b"another"));
    let error = outline(&serve(&layer), Limits::default()).unwrap_err();
    assert!(matches!(error, ImportError::Digest { .. }), "{error}");
}

#[test]
fn where_a_layer_cannot_be_told_there_is_none() {
    let layer = Layer::pack(&tree(1));
    // No ranges.
    let whole = Images::of(&[("os", &layer)])
        .serve(|request, _, _| request.header("range").map(|_| Reply::new(200, b"all of it".to_vec())));
    assert!(outline(&whole, Limits::default()).unwrap().is_none());
    // Bounds.
    let bounded = |bound: fn(&mut Limits) -> &mut u64| {
        let mut limits = Limits::default();
        *bound(&mut limits) = 1000;
        outline(&serve(&layer), limits).unwrap()
    };
    assert!(bounded(|limits| &mut limits.chunked_toc_bytes).is_none());
    assert!(bounded(|limits| &mut limits.chunked_packed_bytes).is_none());
    // Two views of one tar.
    let split = layer.tar_split();
    let lines: Vec<&str> = split.lines().collect();
    let fewer = layer.with_sheet(layer.toc(), &lines[..lines.len() / 2].join("\n"));
    assert!(outline(&serve(&fewer), Limits::default()).unwrap().is_none());
    let other = layer.with_sheet(layer.toc(), &split.replace("usr/share/file010", "usr/share/file999"));
    assert!(outline(&serve(&other), Limits::default()).unwrap().is_none());
    // Not zstd:chunked at all.
    let mut plain = layer;
    plain.annotations.remove(TOC_PLACE);
    assert!(outline(&serve(&plain), Limits::default()).unwrap().is_none());
}

#[test]
fn a_content_that_is_not_what_the_table_says_is_never_handed_out() {
    let layer = Layer::pack(&tree(1));
    let name = "usr/share/file020";
    let lie = |key: &str, value: serde_json::Value| {
        let mut toc = layer.toc();
        let entries = toc["entries"].as_array_mut().unwrap();
        let place = entries.iter().position(|entry| entry["name"] == name).unwrap();
        entries[place][key] = value;
        let lying = layer.with_sheet(toc, &layer.tar_split());
        let server = serve(&lying);
        let mut told = outline(&server, Limits::default()).unwrap().unwrap();
        let id = id_of(told.tree(), name);
        told.read(&source(&server, "os"), &id, 1 << 20).unwrap_err()
    };
    let error = lie("digest", json!(sha256(b"another")));
    assert!(matches!(error, ImportError::Digest { .. }), "{error}");
    let end = layer.toc()["entries"].as_array().unwrap().iter().find(|entry| entry["name"] == name).unwrap()
        ["endOffset"]
        .as_u64()
        .unwrap();
    let error = lie("endOffset", json!(end - 1));
    assert!(matches!(error, ImportError::Decode { .. } | ImportError::Size { .. }), "{error}");
}
