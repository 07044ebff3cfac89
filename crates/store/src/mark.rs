//! Marking: what the refs reach. Images and streams are read whole and checked, in parallel, or nothing is marked.
//!
//! From a ref to its image or stream, from an image to its files' objects, from a stream to its objects and to the
//! streams and images that it refers to by name. Whatever cannot be read stops the marking: what is not understood must
//! not decide what is deleted.

use std::collections::{HashMap, HashSet};

use rayon::prelude::*;

use crate::{
    Control, Error, ObjectId, Place, RefTarget, Repository, Result,
    control::{Unit, Work},
    erofs::Image,
    error::Optional,
    seen::Seen,
    splitstream::SplitStreamReader,
};

/// What the refs reach.
pub(crate) struct Live {
    pub(crate) objects: Seen,
    pub(crate) images: HashSet<ObjectId>,
    pub(crate) streams: HashSet<String>,
    /// How many refs there are.
    pub(crate) roots: usize,
}

/// Something to be read: an image, or a stream's splitstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Node {
    Image(ObjectId),
    Stream(ObjectId),
}

/// The names of a repository, by object.
pub(crate) struct Entries {
    images: HashSet<ObjectId>,
    streams: HashMap<ObjectId, Vec<String>>,
}

/// Marks what all refs and the `extra` roots reach.
pub(crate) fn mark(
    repository: &Repository,
    extra: &[RefTarget],
    pool: &rayon::ThreadPool,
    control: &Control,
) -> Result<Live> {
    let entries = Entries::read(repository)?;
    let mut live = Live::new();
    let frontier = roots(repository, extra, &mut live)?;
    reach(repository, &entries, frontier, &mut live, pool, control)?;
    Ok(live)
}

/// Marks what one target reaches.
pub(crate) fn mark_one(
    repository: &Repository,
    entries: &Entries,
    target: &RefTarget,
    pool: &rayon::ThreadPool,
    control: &Control,
) -> Result<Live> {
    let mut live = Live::new();
    let missing = || Error::Missing { what: target.to_string() };
    let frontier = vec![node(repository, target)?.ok_or_else(missing)?];
    reach(repository, entries, frontier, &mut live, pool, control)?;
    Ok(live)
}

fn reach(
    repository: &Repository,
    entries: &Entries,
    mut frontier: Vec<Node>,
    live: &mut Live,
    pool: &rayon::ThreadPool,
    control: &Control,
) -> Result<()> {
    let mut seen = HashSet::new();
    let mut task = control.start(Work::Mark, "", None, Unit::Items);
    while !frontier.is_empty() {
        frontier.retain(|node| seen.insert(*node));
        for node in &frontier {
            match node {
                Node::Image(id) => drop(live.images.insert(*id)),
                Node::Stream(id) => {
                    live.streams.extend(entries.streams.get(id).into_iter().flatten().cloned());
                }
            }
        }
        let objects = &live.objects;
        let visit = |node: &Node| {
            control.check()?;
            visit(repository, entries, objects, *node)
        };
        let next = pool.install(|| frontier.par_iter().map(visit).collect::<Result<Vec<_>>>())?;
        task.advance(frontier.len() as u64);
        frontier = next.into_iter().flatten().collect();
    }
    task.finish();
    Ok(())
}

impl Live {
    fn new() -> Self {
        Self { objects: Seen::new(), images: HashSet::new(), streams: HashSet::new(), roots: 0 }
    }
}

impl Entries {
    pub(crate) fn read(repository: &Repository) -> Result<Self> {
        let mut streams: HashMap<_, Vec<_>> = HashMap::new();
        for (name, id) in repository.entries(Place::Streams)? {
            streams.entry(id).or_default().push(name);
        }
        Ok(Self { images: repository.images()?.into_iter().collect(), streams })
    }
}

/// Where the refs point to. One that points to nothing is an error: it may be the trace of damage.
fn roots(repository: &Repository, extra: &[RefTarget], live: &mut Live) -> Result<Vec<Node>> {
    let mut targets: Vec<_> = extra.iter().map(|target| (None, target.clone())).collect();
    for place in [Place::Images, Place::Streams] {
        targets.extend(repository.refs(place)?.into_iter().map(|(name, target)| (Some(name), target)));
    }
    live.roots = targets.len();
    let found = |(name, target): (Option<crate::RefName>, RefTarget)| {
        node(repository, &target)?.ok_or_else(|| match name {
            Some(name) => Error::corrupt(format!("ref {name}"), format!("there is no {target}")),
            None => Error::Missing { what: target.to_string() },
        })
    };
    targets.into_iter().map(found).collect()
}

/// What a target is, if it is there.
fn node(repository: &Repository, target: &RefTarget) -> Result<Option<Node>> {
    match target {
        RefTarget::Image(id) => Ok(repository.has_image(id)?.then_some(Node::Image(*id))),
        RefTarget::Stream(stream) => Ok(repository.stream(stream).optional()?.map(Node::Stream)),
    }
}

/// Marks the objects of one image or stream; gives what it leads to.
fn visit(repository: &Repository, entries: &Entries, objects: &Seen, node: Node) -> Result<Vec<Node>> {
    let mut next = Vec::new();
    match node {
        Node::Image(id) => {
            objects.insert(&id);
            image_objects(repository, &id, |object| {
                objects.insert(&object);
            })?;
        }
        Node::Stream(id) => {
            objects.insert(&id);
            let bytes = repository.map_object(&id)?;
            let reader = SplitStreamReader::new(&bytes, repository.algorithm())?;
            for object in reader.object_refs() {
                objects.insert(&object);
            }
            for (_, target) in reader.named_refs() {
                next.push(classify(repository, entries, target)?);
            }
        }
    }
    Ok(next)
}

/// What a stream's reference leads to: by its entry, or by its bytes where it has none.
fn classify(repository: &Repository, entries: &Entries, target: &ObjectId) -> Result<Node> {
    if entries.images.contains(target) {
        return Ok(Node::Image(*target));
    }
    if entries.streams.contains_key(target) {
        return Ok(Node::Stream(*target));
    }
    let bytes = repository.map_object(target)?;
    Ok(if Image::open(&bytes).is_ok() { Node::Image(*target) } else { Node::Stream(*target) })
}

/// Calls `visit` for the object of each file of an image, an object as often as there are files with it.
pub(crate) fn image_objects(
    repository: &Repository,
    id: &ObjectId,
    visit: impl FnMut(ObjectId),
) -> Result<()> {
    let bytes = repository.map_object(id)?;
    let corrupt = |error| Error::corrupt(format!("image {id}"), format!("{error}"));
    Image::open(&bytes).map_err(corrupt)?.visit_objects(visit).map_err(corrupt)
}

/// A pool of as many threads as the caller wants.
pub(crate) fn pool(control: &Control) -> Result<rayon::ThreadPool> {
    rayon::ThreadPoolBuilder::new().num_threads(control.threads()).build().map_err(|_| {
        Error::at("start threads for", std::path::Path::new("gc or fsck"), rustix::io::Errno::AGAIN)
    })
}
