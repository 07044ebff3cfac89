//! From a tree under construction to a finished one: whiteouts applied, links checked, everything in preorder.

use std::collections::HashMap;

use super::arena::{Arena, ROOT, Work};
use super::builder::{LayerTreeBuilder, PendingWhiteout};
use super::heap::{EncodedXattrs, Heap, Inode, InodeKind};
use super::walk::{Absent, End, Walk};
use super::whiteout::split;
use super::{IMPLICIT, LayerTree, Node, NodeKind, OPAQUE, REMOVES_LOWER};
use crate::Limits;
use crate::tar::{Normalisation, Reason, Refusal, Warnings};

pub(super) fn finish(builder: LayerTreeBuilder) -> Result<(LayerTree, Warnings), Refusal> {
    let LayerTreeBuilder { mut arena, algorithm, limits, whiteouts, links, mut warnings, .. } = builder;
    for whiteout in whiteouts {
        apply(&mut arena, whiteout, &limits).map_err(|reason| {
            let path = arena.heap.get_counted(whiteout.directory);
            Refusal::new(reason, path, 0)
        })?;
    }
    for link in links {
        check_link(&mut arena, link, &limits).map_err(|reason| refusal(&arena, link, reason))?;
    }
    note_implicit(&arena, &mut warnings);
    let Arena { nodes, inodes, heap, .. } = arena;
    let limit = limits.tree_heap_bytes;
    let mut sorted = sort(&nodes, &inodes, &heap, limit)?;
    drop(nodes);
    let digests = heap.digests.len();
    let inodes =
        move_inodes(&mut sorted, &inodes, &heap, limit).map_err(|reason| Refusal::new(reason, &[], 0))?;
    let Heap { bytes, digests: old } = heap;
    drop(bytes);
    let mut tree = LayerTree { algorithm, nodes: sorted.nodes, inodes, heap: sorted.heap };
    tree.heap.digests.reserve_exact(digests);
    for inode in tree.inodes.iter_mut().filter(|inode| inode.kind == InodeKind::External) {
        let len = algorithm.digest_len();
        let start = inode.data as usize * len;
        // Digests are fewer than inodes, which 32 bits count.
        inode.data = u32::try_from(tree.heap.digests.len() / len).unwrap_or(u32::MAX);
        tree.heap.digests.extend_from_slice(old.get(start..start + len).unwrap_or_default());
    }
    Ok((tree, warnings))
}

fn refusal(arena: &Arena, node: u32, reason: Reason) -> Refusal {
    Refusal::new(reason, &path(arena, node), 0)
}

/// Tells of the directories that no entry describes; the root needs none.
fn note_implicit(arena: &Arena, warnings: &mut Warnings) {
    for (number, node) in (0..).zip(&arena.nodes).skip(1) {
        if node.flags & IMPLICIT != 0 && is_reachable(arena, number) {
            warnings.note(Normalisation::ImplicitDirectory, &path(arena, number));
        }
    }
}

fn path(arena: &Arena, node: u32) -> Vec<u8> {
    let mut names = Vec::new();
    let mut at = node;
    while at != ROOT {
        names.push(arena.name(arena.node(at)));
        at = arena.node(at).parent;
    }
    names.reverse();
    names.join(&b'/')
}

/// Marks what a whiteout hides. What blocks its path hides it already.
fn apply(arena: &mut Arena, whiteout: PendingWhiteout, limits: &Limits) -> Result<(), Reason> {
    let directory = arena.heap.get_counted(whiteout.directory).to_vec();
    let End::At(directory) = Walk::new(Absent::Pass, limits).follow(arena, ROOT, &directory)? else {
        return Ok(());
    };
    if whiteout.is_opaque {
        arena.node_mut(directory).flags |= OPAQUE;
        return Ok(());
    }
    let name = arena.heap.get_counted(whiteout.name).to_vec();
    let child = match arena.find(directory, &name) {
        Ok(child) => child,
        Err(name) => return arena.add_node(name, NodeKind::Whiteout, 0, limits).map(|_| ()),
    };
    let node = arena.node_mut(child);
    match node.kind {
        // Whiteouts below a whiteout say nothing more.
        NodeKind::Passage | NodeKind::Whiteout => (node.kind, node.flags) = (NodeKind::Whiteout, 0),
        _ => node.flags |= REMOVES_LOWER,
    }
    Ok(())
}

/// Refuses a link whose target is not a lower layer's.
fn check_link(arena: &mut Arena, link: u32, limits: &Limits) -> Result<(), Reason> {
    if !is_reachable(arena, link) {
        return Ok(());
    }
    let target = arena.heap.get_counted(arena.node(link).data).to_vec();
    let (directory, name) = split(&target);
    let mut walk = Walk::new(Absent::Stop, limits);
    walk.is_hidden = arena.node(ROOT).flags & OPAQUE != 0;
    let problem = match walk.follow(arena, ROOT, directory)? {
        End::Nothing => None,
        End::Blocked(_) => Some("leads through something that is not a directory"),
        End::At(directory) => arena.child(directory, name).and_then(|found| match arena.node(found).kind {
            NodeKind::Directory => Some("is a directory"),
            NodeKind::Leaf | NodeKind::Link => Some("comes later in the layer"),
            NodeKind::Whiteout => Some("is removed by a whiteout of the same layer"),
            NodeKind::Passage => None,
        }),
    };
    let problem = problem.or_else(|| walk.is_hidden.then_some("is removed by a whiteout of the same layer"));
    problem.map_or(Ok(()), |problem| Err(Reason::Hardlink { target: target.into(), problem }))
}

fn is_reachable(arena: &Arena, node: u32) -> bool {
    let mut at = node;
    while at != ROOT {
        let work = arena.node(at);
        if work.is_dead {
            return false;
        }
        at = work.parent;
    }
    true
}

/// Nodes in preorder with their names, and the old numbers of the inodes they have, in order.
struct Sorted {
    nodes: Vec<Node>,
    heap: Heap,
    inodes: Vec<u32>,
}

/// The living children of each node, sorted by name: where each node's begin (and the last one's end), and the nodes.
fn children_of(nodes: &[Work], heap: &Heap) -> (Vec<u32>, Vec<u32>) {
    let is_child = |(number, node): &(usize, &Work)| *number != 0 && !node.is_dead;
    let mut starts = vec![0_u32; nodes.len() + 1];
    for (_, node) in nodes.iter().enumerate().filter(is_child) {
        if let Some(count) = starts.get_mut(node.parent as usize + 1) {
            *count += 1;
        }
    }
    for index in 1..starts.len() {
        let before = starts.get(index - 1).copied().unwrap_or(0);
        if let Some(start) = starts.get_mut(index) {
            *start += before;
        }
    }
    let total = starts.last().map_or(0, |total| *total as usize);
    let mut children = vec![0_u32; total];
    // Each start moves to its end while the children go in, which is the next node's start: one place to the left again
    // afterwards.
    for (number, node) in nodes.iter().enumerate().filter(is_child) {
        if let Some(start) = starts.get_mut(node.parent as usize) {
            if let Some(place) = children.get_mut(*start as usize) {
                *place = u32::try_from(number).unwrap_or(u32::MAX);
            }
            *start += 1;
        }
    }
    starts.rotate_right(1);
    if let Some(first) = starts.first_mut() {
        *first = 0;
    }
    let name = |number: &u32| {
        let node = nodes.get(*number as usize);
        node.map_or(&[][..], |node| heap.get(node.name, usize::from(node.name_len)))
    };
    for pair in starts.windows(2) {
        if let [start, end] = pair
            && let Some(range) = children.get_mut(*start as usize..*end as usize)
        {
            range.sort_unstable_by(|a, b| name(a).cmp(name(b)));
        }
    }
    (starts, children)
}

fn sort(nodes: &[Work], inodes: &[Inode], heap: &Heap, limit: usize) -> Result<Sorted, Refusal> {
    let (starts, children) = children_of(nodes, heap);
    let range = |node: u32| {
        let at = |index: usize| starts.get(index).map_or(0, |start| *start as usize);
        at(node as usize)..at(node as usize + 1)
    };
    let mut sorted = Sorted {
        nodes: Vec::with_capacity(children.len() + 1),
        heap: Heap::default(),
        inodes: Vec::with_capacity(inodes.len()),
    };
    // New inode numbers plus one, by old number.
    let mut numbers = vec![0_u32; inodes.len()];
    // Directories that are open: the node's new number, and the children to come.
    let mut open = Vec::new();
    let mut next = Some(ROOT);
    loop {
        if let Some(number) = next {
            let Some(work) = nodes.get(number as usize) else { break };
            let emitted = sorted.emit(work, inodes, heap, &mut numbers, limit);
            let index = emitted
                .map_err(|reason| Refusal::new(reason, heap.get(work.name, usize::from(work.name_len)), 0))?;
            let has_children = matches!(work.kind, NodeKind::Directory | NodeKind::Passage);
            open.push((index, if has_children { range(number) } else { 0..0 }));
        }
        let Some((index, children_left)) = open.last_mut() else { break };
        next = children_left.next().and_then(|place| children.get(place).copied());
        if next.is_none() {
            let end = u32::try_from(sorted.nodes.len()).unwrap_or(u32::MAX);
            if let Some(node) = sorted.nodes.get_mut(*index) {
                node.end = end;
            }
            open.pop();
        }
    }
    Ok(sorted)
}

impl Sorted {
    /// Adds a node, and its inode to the list if it is the first to have it.
    fn emit(
        &mut self,
        work: &Work,
        inodes: &[Inode],
        heap: &Heap,
        numbers: &mut [u32],
        limit: usize,
    ) -> Result<usize, Reason> {
        let data = match work.kind {
            NodeKind::Link => self.heap.keep_counted(heap.get_counted(work.data), limit)?,
            NodeKind::Whiteout | NodeKind::Passage => 0,
            NodeKind::Directory | NodeKind::Leaf => {
                let inode = inodes.get(work.data as usize);
                if inode.is_none_or(|inode| inode.kind == InodeKind::Unresolved) {
                    return Err(Reason::Content("was never given"));
                }
                match numbers.get_mut(work.data as usize) {
                    Some(number) if *number == 0 => {
                        self.inodes.push(work.data);
                        *number = u32::try_from(self.inodes.len()).unwrap_or(u32::MAX);
                        *number - 1
                    }
                    Some(number) => *number - 1,
                    None => 0,
                }
            }
        };
        let name = self.heap.keep(heap.get(work.name, usize::from(work.name_len)), limit)?;
        let index = self.nodes.len();
        self.nodes.push(Node {
            name,
            end: 0,
            data,
            name_len: work.name_len,
            kind: work.kind,
            flags: work.flags,
        });
        Ok(index)
    }
}

/// The inodes in their new order, with their bytes moved to the new heap. Digests stay where they are.
fn move_inodes(sorted: &mut Sorted, old: &[Inode], heap: &Heap, limit: usize) -> Result<Vec<Inode>, Reason> {
    let mut xattrs_moved = HashMap::new();
    let mut inodes = Vec::with_capacity(sorted.inodes.len());
    for number in std::mem::take(&mut sorted.inodes) {
        let Some(mut inode) = old.get(number as usize).copied() else { continue };
        if matches!(inode.kind, InodeKind::Inline | InodeKind::Symlink) {
            let len = usize::try_from(inode.size).unwrap_or(usize::MAX);
            inode.data = sorted.heap.keep(heap.get(inode.data, len), limit)?;
        }
        if let Some(start) = inode.xattrs.checked_sub(1) {
            let moved = xattrs_moved.get(&start).copied();
            inode.xattrs = match moved {
                Some(moved) => moved,
                None => sorted.heap.keep(encoded_xattrs(heap, start), limit)? + 1,
            };
            xattrs_moved.insert(start, inode.xattrs);
        }
        inodes.push(inode);
    }
    Ok(inodes)
}

/// The bytes of a set of attributes.
fn encoded_xattrs(heap: &Heap, start: u32) -> &[u8] {
    let bytes = heap.bytes.get(start as usize..).unwrap_or_default();
    let mut xattrs = EncodedXattrs::new(bytes);
    while xattrs.next().is_some() {}
    let len = bytes.len() - xattrs.rest().map_or(bytes.len(), <[u8]>::len);
    heap.get(start, len)
}
