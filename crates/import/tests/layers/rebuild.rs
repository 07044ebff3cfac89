//! A dropped tree is built again from the splitstream, where large bodies are references to objects.

use std::collections::HashMap;

use sealstone_import::Limits;
use sealstone_import::layer_tree::{FileContent, LayerTree, LayerTreeBuilder};
use sealstone_import::tar::{Entry, Item, Piece, Reader, Strictness};
use sealstone_store::{Algorithm, ObjectId, verity};

use crate::chunking::sample;

/// What a splitstream holds of a layer.
enum Part {
    Inline(Vec<u8>),
    /// An object with the packed body of a file.
    Object(ObjectId),
}

type Objects = HashMap<String, Vec<u8>>;

fn builder() -> (Reader, LayerTreeBuilder) {
    let limits = Limits::default();
    let builder = LayerTreeBuilder::new(Algorithm::Sha256, limits.clone(), Strictness::Normal);
    (Reader::new(limits, Strictness::Normal), builder)
}

/// The content of a file from its packed body.
fn expand(entry: &Entry, packed: &[u8]) -> Vec<u8> {
    let Some(map) = entry.sparse() else { return packed.to_vec() };
    let (mut out, mut rest) = (Vec::new(), packed);
    for piece in map.pieces() {
        match piece {
            Piece::Zeros(len) => out.resize(out.len() + usize::try_from(len).unwrap(), 0),
            Piece::Data(len) => {
                let (data, after) = rest.split_at(usize::try_from(len).unwrap());
                out.extend_from_slice(data);
                rest = after;
            }
        }
    }
    out
}

fn put(objects: &mut Objects, bytes: Vec<u8>) -> ObjectId {
    let id = verity::digest(Algorithm::Sha256, &bytes);
    objects.insert(id.to_hex(), bytes);
    id
}

fn set_content(builder: &mut LayerTreeBuilder, entry: &Entry, packed: &[u8], objects: &mut Objects) {
    let Some(slot) = builder.add(entry).unwrap() else { return };
    let content = expand(entry, packed);
    if content.len() <= 64 {
        builder.set_content(slot, FileContent::Inline(&content)).unwrap();
    } else {
        let (size, id) = (content.len() as u64, put(objects, content));
        builder.set_content(slot, FileContent::Object { id, size }).unwrap();
    }
}

fn import(tar: &[u8]) -> (LayerTree, Vec<Part>, Objects) {
    let (mut reader, mut builder) = builder();
    let (mut parts, mut objects) = (Vec::new(), HashMap::new());
    let mut input = tar;
    loop {
        let step = reader.next(&mut input).unwrap();
        parts.push(Part::Inline(step.raw.to_vec()));
        if step.item == Item::NeedInput {
            break;
        }
        let body = reader.take_body(&mut input).unwrap();
        set_content(&mut builder, reader.entry(), body, &mut objects);
        parts.push(if body.len() <= 64 {
            Part::Inline(body.to_vec())
        } else {
            Part::Object(put(&mut objects, body.to_vec()))
        });
    }
    reader.finish().unwrap();
    (builder.finish().unwrap().0, parts, objects)
}

fn rebuild(parts: &[Part], objects: &Objects) -> LayerTree {
    let (mut reader, mut builder) = builder();
    let mut seen = HashMap::new();
    for part in parts {
        match part {
            Part::Object(id) => {
                let packed = &objects[&id.to_hex()];
                assert_eq!(reader.skip_body(), packed.len() as u64);
                // A plain file's content is the object as it is: nothing is read. Only sparse ones are expanded again.
                match reader.entry().sparse() {
                    Some(_) => set_content(&mut builder, reader.entry(), packed, &mut seen),
                    None => {
                        if let Some(slot) = builder.add(reader.entry()).unwrap() {
                            let size = reader.entry().size();
                            builder.set_content(slot, FileContent::Object { id: *id, size }).unwrap();
                        }
                    }
                }
            }
            Part::Inline(bytes) => {
                let mut input = &bytes[..];
                loop {
                    match reader.next(&mut input).unwrap().item {
                        Item::Entry if reader.entry().packed_size() == 0 => {
                            set_content(&mut builder, reader.entry(), &[], &mut seen);
                        }
                        Item::Entry => {}
                        Item::Body { bytes, is_last } => {
                            assert!(is_last, "a small body is one part");
                            set_content(&mut builder, reader.entry(), bytes, &mut seen);
                        }
                        Item::NeedInput => break,
                    }
                }
            }
        }
    }
    reader.finish().unwrap();
    builder.finish().unwrap().0
}

#[test]
fn a_tree_is_rebuilt_from_headers_and_references_alone() {
    let (tree, parts, objects) = import(&sample());
    assert!(parts.iter().filter(|part| matches!(part, Part::Object(_))).count() >= 4);
    let rebuilt = rebuild(&parts, &objects);
    assert!(rebuilt == tree);
    assert!(rebuilt.encode() == tree.encode());
    let bytes: Vec<u8> = parts
        .iter()
        .flat_map(|part| match part {
            Part::Inline(bytes) => bytes.clone(),
            Part::Object(id) => objects[&id.to_hex()].clone(),
        })
        .collect();
    assert!(bytes == sample(), "the parts are the tar, bit by bit");
}
