//! [`LayerOutline`]: what a zstd:chunked layer has, and small files of it, without the rest of its blob.
//!
//! For telling what an image holds before anybody fetches it. The tree is made by the reader of every tar, of the headers
//! in the tar-split, so rules and bounds are those of an import; a file's content counts when it has the SHA-256 that the
//! table says. Nobody proves here that all of it makes the layer's diff_id: nothing of it is stored, and nothing is
//! deployed because of it. Memory: the table, the tree, and the part of the blob that was read last.

use sealstone_store::{Algorithm, ObjectId};

use super::{
    Annotations, Stop, Toc, TocFile,
    sheet::{self, Sheet},
};
use crate::{
    Digest, ImportOptions,
    decompress::DecodeLimits,
    error::{ImportError, Result},
    layer_tree::{FileContent, FileSlot, LayerTree, LayerTreeBuilder},
    oci::Descriptor,
    source::{Source, Unpacked, fill},
    tar::{Item, Reader, Refusal},
    tar_split::Piece,
};

/// Bytes of a tar-split, unpacked, of which an outline is made: 512 MiB, some half a million entries.
const TAR_SPLIT_MAX: u64 = 512 << 20;

/// Bytes of the blob that are read along behind a file: small files of one folder lie side by side.
const AHEAD: u64 = 64 << 10;

/// Bytes by which a packed file may be bigger than the plain one: the heads of its frames.
const FRAMES: u64 = 64 << 10;

/// The tree of a layer that is not here, and where the contents of its files lie.
#[derive(Debug)]
pub struct LayerOutline {
    descriptor: Descriptor,
    toc: Toc,
    tree: LayerTree,
    /// Where the last frame ends at the latest.
    frames_end: u64,
    /// The part of the blob that was read last, and where it begins.
    window: (u64, Vec<u8>),
}

impl LayerOutline {
    /// Bytes that [`LayerOutline::fetch`] reads; `None` for a layer that cannot be looked at so.
    #[must_use]
    pub fn fetch_bytes(descriptor: &Descriptor) -> Option<u64> {
        let range = Annotations::of(descriptor).ok()??.range();
        range.end.checked_sub(range.start)
    }

    /// Reads a layer's table of contents and tar-split, by one request for a part of its blob. `None` where that cannot be:
    /// it is not zstd:chunked, the source gives no parts, both parts do not fit each other, or are too big. The tree names
    /// contents by ids that are no object's: they are for [`LayerOutline::read`].
    ///
    /// # Errors
    /// When the source fails, when either is not what the manifest says, and when the layer would be refused.
    pub fn fetch(
        source: &dyn Source,
        descriptor: &Descriptor,
        algorithm: Algorithm,
        options: &ImportOptions,
    ) -> Result<Option<Self>> {
        match Self::try_fetch(source, descriptor, algorithm, options) {
            Ok(outline) => Ok(Some(outline)),
            Err(Stop::Unfit(_)) => Ok(None),
            Err(Stop::Wrong(error) | Stop::Failed(error)) => Err(error),
        }
    }

    fn try_fetch(
        source: &dyn Source,
        descriptor: &Descriptor,
        algorithm: Algorithm,
        options: &ImportOptions,
    ) -> Result<Self, Stop> {
        let annotations = Annotations::of(descriptor).map_err(Stop::Unfit)?;
        let annotations = annotations.ok_or_else(|| Stop::unfit("it is not zstd:chunked"))?;
        if annotations.tar_split.unpacked > TAR_SPLIT_MAX {
            return Err(Stop::unfit(format!("its tar-split has more than {TAR_SPLIT_MAX} bytes")));
        }
        let sheet = Sheet::fetch(source, descriptor, &annotations, &options.limits, &|_| ())?;
        let tree = Outlining::new(&sheet.toc, descriptor, algorithm, options).run(&sheet, options)?;
        let (descriptor, frames_end) = (descriptor.clone(), annotations.toc.offset);
        Ok(Self { descriptor, toc: sheet.toc, tree, frames_end, window: (0, Vec::new()) })
    }

    /// The layer's tree. Whatever has content is [external](sealstone_store::tree::Content::External), how small it may be.
    #[must_use]
    pub const fn tree(&self) -> &LayerTree {
        &self.tree
    }

    /// Reads a file by the id that it has in the tree, at most `limit` bytes of it. `None` when it is no file of this layer, or
    /// the source gives no parts any more.
    ///
    /// # Errors
    /// [`ImportError::TooBig`]; [`ImportError::Digest`] when its bytes are not those that the table says; when the source fails.
    pub fn read(&mut self, source: &dyn Source, id: &ObjectId, limit: u64) -> Result<Option<Vec<u8>>> {
        let is_asked = |file: &&TocFile| stand_in(id.algorithm(), &file.digest).as_ref() == Some(id);
        let Some(file) = self.toc.files().iter().find(is_asked).copied() else { return Ok(None) };
        let name = String::from_utf8_lossy(self.toc.name(&file)).into_owned();
        let what = format!("{name:?} in layer {}", self.descriptor.digest());
        let packed = file.end.saturating_sub(file.offset);
        if file.size > limit || packed > limit.saturating_add(FRAMES) {
            return Err(ImportError::TooBig { what: format!("{what}, in bytes,"), limit });
        }
        if !self.hold(source, &file)? {
            return Ok(None);
        }
        let mut body = Vec::new();
        for chunk in self.toc.chunks(&file) {
            // Chunks make the file's size, which is small.
            let size = usize::try_from(chunk.size).unwrap_or_default();
            let start = body.len();
            body.resize(start + size, 0);
            if !chunk.is_zeros {
                let room = body.get_mut(start..).unwrap_or_default();
                unpack(&what, self.held(chunk.offset, chunk.end), room)?;
            }
        }
        sheet::check(&what, &Digest::Sha256(file.digest), &body)?;
        Ok(Some(body))
    }

    /// Makes sure that all of a file is in the window; false where the source gives no parts.
    fn hold(&mut self, source: &dyn Source, file: &TocFile) -> Result<bool> {
        let (start, bytes) = &self.window;
        if *start <= file.offset && file.end <= start.saturating_add(bytes.len() as u64) {
            return Ok(true);
        }
        let end = file.offset.saturating_add(AHEAD).min(self.frames_end).max(file.end);
        let len = end - file.offset;
        let Some(mut blob) = source.open_range(&self.descriptor, file.offset, len)? else { return Ok(false) };
        self.window = (file.offset, sheet::read(&mut *blob, len, &|_| ())?);
        Ok(true)
    }

    fn held(&self, from: u64, to: u64) -> &[u8] {
        let (start, bytes) = &self.window;
        let place = |offset: u64| usize::try_from(offset.saturating_sub(*start)).unwrap_or(usize::MAX);
        bytes.get(place(from)..place(to)).unwrap_or_default()
    }
}

/// Unpacks frames that have to fill all of `room` and make no more.
fn unpack(what: &str, packed: &[u8], room: &mut [u8]) -> Result<()> {
    let expected = room.len() as u64;
    let bounds = DecodeLimits { output_bytes: expected, ..(&crate::Limits::default()).into() };
    let mut frames = Unpacked::new(what, Box::new(packed), bounds);
    let filled = fill(&mut frames, room)? as u64;
    let more = fill(&mut frames, &mut [0])? as u64;
    let (what, actual) = (what.to_owned(), filled + more);
    if actual == expected { Ok(()) } else { Err(ImportError::Size { what, expected, actual }) }
}

/// What stands in an outline's tree for an object: the SHA-256 of its content, filled up with zeros.
fn stand_in(algorithm: Algorithm, digest: &[u8; 32]) -> Option<ObjectId> {
    let mut padded = [0; 64];
    for (place, byte) in padded.iter_mut().zip(digest) {
        *place = *byte;
    }
    ObjectId::from_digest(algorithm, padded.get(..algorithm.digest_len())?).ok()
}

/// A layer's tree in the making: its tar without bodies, and the table that says of those.
struct Outlining<'a> {
    name: String,
    algorithm: Algorithm,
    toc: &'a Toc,
    files: std::slice::Iter<'a, TocFile>,
    reader: Reader,
    builder: LayerTreeBuilder,
    /// Bytes of the body that comes next, and the file that it is of: none for a body that the tree does not keep.
    due: u64,
    slot: Option<FileSlot>,
}

impl<'a> Outlining<'a> {
    fn new(toc: &'a Toc, descriptor: &Descriptor, algorithm: Algorithm, options: &ImportOptions) -> Self {
        let (limits, strictness) = (&options.limits, options.strictness);
        Self {
            name: format!("layer {}", descriptor.digest()),
            algorithm,
            toc,
            files: toc.files().iter(),
            reader: Reader::new(limits.clone(), strictness),
            builder: LayerTreeBuilder::new(algorithm, limits.clone(), strictness),
            due: 0,
            slot: None,
        }
    }

    fn run(mut self, sheet: &Sheet, options: &ImportOptions) -> Result<LayerTree, Stop> {
        let mut pieces = sheet.tar_split(&options.limits);
        while let Some(piece) = pieces.next_piece()? {
            match piece {
                Piece::Raw(bytes) => self.take(bytes)?,
                Piece::File { size: 0, .. } => {}
                Piece::File { name, size } => self.body(name, size)?,
            }
        }
        if self.due > 0 || self.files.next().is_some() {
            return Err(differ());
        }
        let Self { name, reader, builder, .. } = self;
        reader.finish().map_err(refused(&name))?;
        Ok(builder.finish().map_err(refused(&name))?.0)
    }

    /// Takes bytes of the tar that are no body.
    fn take(&mut self, bytes: &[u8]) -> Result<(), Stop> {
        let mut input = bytes;
        loop {
            if self.due > 0 {
                return if input.is_empty() { Ok(()) } else { Err(differ()) };
            }
            match self.reader.next(&mut input).map_err(refused(&self.name))?.item {
                Item::NeedInput => return Ok(()),
                Item::Entry => self.entry()?,
                // Bodies are skipped as soon as they begin.
                Item::Body { .. } => return Err(differ()),
            }
        }
    }

    fn entry(&mut self) -> Result<(), Stop> {
        if self.reader.entry().sparse().is_some() {
            return Err(Stop::unfit("it has a sparse file"));
        }
        self.slot = self.builder.add(self.reader.entry()).map_err(refused(&self.name))?;
        self.due = self.reader.skip_body();
        if self.due == 0 {
            self.fill(FileContent::Inline(&[]))?;
        }
        Ok(())
    }

    /// Takes the place of a body: the table has to have it too.
    fn body(&mut self, name: &[u8], size: u64) -> Result<(), Stop> {
        let file = self.files.next().filter(|file| file.size == size && self.toc.name(file) == name);
        let file = file.filter(|_| self.due == size).ok_or_else(differ)?;
        let id = stand_in(self.algorithm, &file.digest).ok_or_else(differ)?;
        self.due = 0;
        self.fill(FileContent::Object { id, size })
    }

    fn fill(&mut self, content: FileContent<'_>) -> Result<(), Stop> {
        let Some(slot) = self.slot.take() else { return Ok(()) };
        Ok(self.builder.set_content(slot, content).map_err(refused(&self.name))?)
    }
}

fn differ() -> Stop {
    Stop::unfit("its tar-split and its table of contents differ")
}

fn refused(layer: &str) -> impl Fn(Refusal) -> ImportError {
    move |source| ImportError::Refused { layer: layer.to_owned(), source }
}
