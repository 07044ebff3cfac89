//! The reader: a state machine that is fed a tar's bytes as they come.
//!
//! It never holds a body: bodies are slices of what it was fed. What it holds is one header block, the extended headers
//! of one entry and the entry itself, all bounded.

use super::block::{BLOCK, Block, Found, Header, look_at};
use super::header::{Follows, Parser, Pending};
use super::pax::read_global;
use super::sparse::{TextMap, extensions_limit, read_extension};
use super::{Entry, Normalisation, Reason, Refusal, Strictness, Warning, Warnings};
use crate::Limits;

/// What a call of [`Reader::next`] made of the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step<'i> {
    /// Bytes that are no file's body (headers, padding, sparse maps, the end), perhaps none. They come before the item.
    /// Raw bytes and bodies together, in order, are the tar.
    pub raw: &'i [u8],
    /// How many of the raw bytes there are up to the last place in them at which the tar may be cut: before a header, or
    /// after the end.
    pub cut: Option<usize>,
    /// What was found.
    pub item: Item<'i>,
}

/// What was found in the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Item<'i> {
    /// An entry: see [`Reader::entry`]. Its packed body follows, if it has one.
    Entry,
    /// A part of the entry's packed body, all that this input has of it; never empty.
    Body {
        /// The bytes.
        bytes: &'i [u8],
        /// Whether the body ends here.
        is_last: bool,
    },
    /// The input is used up.
    NeedInput,
}

/// A sans-IO reader of one layer's tar.
///
/// ```
/// use sealstone_import::tar::{Item, Reader};
/// # let mut tar = tar::Builder::new(Vec::new());
/// # let mut header = tar::Header::new_ustar();
/// # header.set_size(5);
/// # header.set_mode(0o644);
/// # tar.append_data(&mut header, "etc/motd", &b"hello"[..]).unwrap();
/// # let bytes = tar.into_inner().unwrap();
/// let mut reader = Reader::new(Default::default(), Default::default());
/// for chunk in bytes.chunks(300) {
///     let mut input = chunk;
///     loop {
///         let step = reader.next(&mut input)?;
///         // `step.raw` goes to the splitstream as it is.
///         match step.item {
///             Item::Entry => assert_eq!(reader.entry().path(), b"etc/motd"),
///             Item::Body { bytes, .. } => assert_eq!(bytes, b"hello"),
///             Item::NeedInput => break,
///         }
///     }
/// }
/// assert!(reader.finish()?.list().is_empty());
/// # Ok::<(), sealstone_import::tar::Refusal>(())
/// ```
#[derive(Debug)]
pub struct Reader {
    limits: Limits,
    strictness: Strictness,
    state: State,
    /// Bytes taken so far.
    offset: u64,
    /// A block whose beginning came with earlier input.
    block: Block,
    filled: usize,
    /// An extended header's body whose beginning came with earlier input.
    gathered: Vec<u8>,
    scratch: Vec<u8>,
    pending: Pending,
    entry: Entry,
    entries: u32,
    /// Bytes of the sparse files so far, holes expanded.
    expanded: u64,
    warnings: Warnings,
}

#[derive(Debug)]
enum State {
    Header,
    /// In the body of an extended header of this type.
    Extended {
        typeflag: u8,
        len: usize,
    },
    SparseBlocks {
        blocks: usize,
    },
    SparseText(TextMap),
    Body {
        remaining: u64,
    },
    Padding {
        remaining: usize,
    },
    OneZeroBlock,
    /// After two zero blocks. Counts the bytes from the first that is not zero.
    End {
        trailing: u64,
    },
}

impl Reader {
    /// A reader at the start of a tar.
    #[must_use]
    pub fn new(limits: Limits, strictness: Strictness) -> Self {
        Self {
            state: State::Header,
            offset: 0,
            block: [0; BLOCK],
            filled: 0,
            gathered: Vec::new(),
            scratch: Vec::new(),
            pending: Pending::default(),
            entry: Entry::blank(),
            entries: 0,
            expanded: 0,
            warnings: Warnings::new(&limits, strictness),
            limits,
            strictness,
        }
    }

    /// Keeps the names as the tar has them too, for whoever writes about it: [`Entry::spelling`].
    #[must_use]
    pub fn with_spelling(mut self) -> Self {
        self.entry.spelling = Some(super::Spelling::default());
        self
    }

    /// The entry of the last [`Item::Entry`].
    #[must_use]
    pub const fn entry(&self) -> &Entry {
        &self.entry
    }

    /// Bytes of the tar taken so far.
    #[must_use]
    pub const fn offset(&self) -> u64 {
        self.offset
    }

    /// How many entries there were so far.
    #[must_use]
    pub const fn entries(&self) -> u32 {
        self.entries
    }

    /// Reads on, up to the next entry, the end of a body's part, or the end of the input; `input` is advanced past what
    /// was taken. At an entry, `input` starts with the body: it is all there if it is no shorter than
    /// [`Entry::packed_size`], see [`take_body`](Self::take_body).
    ///
    /// # Errors
    /// When the layer is refused. Do not go on then.
    pub fn next<'i>(&mut self, input: &mut &'i [u8]) -> Result<Step<'i>, Refusal> {
        let whole = *input;
        if let State::Body { remaining } = self.state {
            return Ok(Step { raw: &[], cut: None, item: self.body(remaining, input) });
        }
        let mut cut = self.may_cut().then_some(0);
        loop {
            let before = input.len();
            let is_entry = self.advance(input).map_err(|reason| self.refusal(reason))?;
            let raw = whole.get(..whole.len() - input.len()).unwrap_or_default();
            if is_entry {
                return Ok(Step { raw, cut, item: Item::Entry });
            }
            if input.is_empty() && before == 0 {
                return Ok(Step { raw, cut, item: Item::NeedInput });
            }
            if self.may_cut() {
                cut = Some(raw.len());
            }
        }
    }

    /// The body of the entry just found, if all of it is in `input`, which is advanced past it. Spares a step a file.
    pub fn take_body<'i>(&mut self, input: &mut &'i [u8]) -> Option<&'i [u8]> {
        let State::Body { remaining } = self.state else { return Some(&[]) };
        let (body, rest) = input.split_at_checked(usize::try_from(remaining).ok()?)?;
        *input = rest;
        self.leave_body(remaining);
        Some(body)
    }

    /// Says that what is left of the packed body is elsewhere (an object that the splitstream refers to): the next input
    /// starts after it. Returns its length in bytes, 0 when no body is due.
    pub fn skip_body(&mut self) -> u64 {
        let State::Body { remaining } = self.state else { return 0 };
        self.leave_body(remaining);
        remaining
    }

    /// Ends the tar.
    ///
    /// # Errors
    /// [`Reason::Truncated`] when the end is not at a place where a tar may end: with no end-of-archive, with one zero
    /// block, or with two and whatever follows. The last body's padding may be missing: `umoci insert` (0.4.7) ends so, and
    /// Go's reader takes it.
    pub fn finish(mut self) -> Result<Warnings, Refusal> {
        let is_pending = self.filled > 0 || !self.pending.is_empty();
        let inside = match self.state {
            State::End { .. } => return Ok(self.warnings),
            State::Header | State::OneZeroBlock | State::Padding { .. } if !is_pending => {
                self.warnings.note(Normalisation::NoEnd, &[]);
                return Ok(self.warnings);
            }
            State::Header | State::OneZeroBlock => "a header",
            State::Extended { .. } | State::Padding { .. } => "an extended header",
            State::SparseBlocks { .. } | State::SparseText(_) => "a sparse map",
            State::Body { .. } => "a file's body",
        };
        Err(self.refusal(Reason::Truncated(inside)))
    }

    const fn may_cut(&self) -> bool {
        self.filled == 0 && matches!(self.state, State::Header | State::End { .. })
    }

    fn refusal(&self, reason: Reason) -> Refusal {
        Refusal::new(reason, &self.entry.path, self.offset)
    }

    fn body<'i>(&mut self, remaining: u64, input: &mut &'i [u8]) -> Item<'i> {
        if input.is_empty() {
            return Item::NeedInput;
        }
        let len = usize::try_from(remaining).map_or(input.len(), |remaining| remaining.min(input.len()));
        let bytes = take(input, len);
        let left = remaining - len as u64;
        if left == 0 {
            self.leave_body(remaining);
        } else {
            self.offset += len as u64;
            self.state = State::Body { remaining: left };
        }
        Item::Body { bytes, is_last: left == 0 }
    }

    fn leave_body(&mut self, remaining: u64) {
        self.offset += remaining;
        self.pad(self.entry.packed_size);
    }

    /// Goes on to the padding after so many bytes of body.
    fn pad(&mut self, len: u64) {
        let remaining = usize::try_from(len.wrapping_neg() % BLOCK as u64).unwrap_or(0);
        self.state = if remaining == 0 { State::Header } else { State::Padding { remaining } };
    }

    /// One transition; says whether it completed an entry.
    fn advance(&mut self, input: &mut &[u8]) -> Result<bool, Reason> {
        match self.state {
            State::Padding { remaining } => {
                let taken = take(input, remaining.min(input.len())).len();
                self.offset += taken as u64;
                let remaining = remaining - taken;
                self.state = if remaining == 0 { State::Header } else { State::Padding { remaining } };
                Ok(false)
            }
            State::Extended { typeflag, len } => self.extended(typeflag, len, input).map(|()| false),
            State::End { trailing } => self.trailing(trailing, input).map(|()| false),
            State::Body { .. } => Ok(false),
            _ => self.block(input),
        }
    }

    /// Takes a block, once all of it is there.
    fn block(&mut self, input: &mut &[u8]) -> Result<bool, Reason> {
        if self.filled == 0
            && let Some((block, rest)) = input.split_first_chunk::<BLOCK>()
        {
            *input = rest;
            return self.on_block(block);
        }
        let part = take(input, input.len().min(BLOCK - self.filled));
        if let Some(place) = self.block.get_mut(self.filled..self.filled + part.len()) {
            place.copy_from_slice(part);
        }
        self.filled += part.len();
        if self.filled < BLOCK {
            return Ok(false);
        }
        self.filled = 0;
        let block = self.block;
        self.on_block(&block)
    }

    fn on_block(&mut self, block: &Block) -> Result<bool, Reason> {
        let start = self.offset;
        self.offset += BLOCK as u64;
        let limit = self.limits.sparse_segments;
        match &mut self.state {
            State::OneZeroBlock => {
                if look_at(block) != Found::Zeros {
                    return Err(Reason::LoneZeroBlock);
                }
                self.state = State::End { trailing: 0 };
                Ok(false)
            }
            State::SparseBlocks { blocks } => {
                *blocks += 1;
                if *blocks > extensions_limit(limit) {
                    return Err(Reason::TooBig { what: "segments in a sparse map", limit: limit as u64 });
                }
                if read_extension(block, &mut self.entry.sparse, limit)? {
                    Ok(false)
                } else {
                    self.sparse_entry()
                }
            }
            State::SparseText(map) => {
                let packed = self.entry.packed_size.checked_sub(BLOCK as u64);
                self.entry.packed_size = packed.ok_or(Reason::Sparse("the body ends within the map"))?;
                if map.read(block, &mut self.entry.sparse, limit)? { self.sparse_entry() } else { Ok(false) }
            }
            _ => self.on_header(block, start),
        }
    }

    fn on_header(&mut self, block: &Block, start: u64) -> Result<bool, Reason> {
        if self.pending.is_empty() {
            self.entry.path.clear();
            self.entry.offset = start;
        }
        match look_at(block) {
            Found::Garbage => return Err(Reason::Checksum),
            Found::Zeros if self.pending.is_empty() => {
                self.state = State::OneZeroBlock;
                return Ok(false);
            }
            Found::Zeros => return Err(Reason::ExtendedHeader("no entry follows it")),
            Found::Header => {}
        }
        let header = Header(block);
        match header.typeflag() {
            typeflag @ (b'x' | b'X' | b'g' | b'L' | b'K') => {
                self.on_extended(typeflag, header).map(|()| false)
            }
            // A GNU volume's label: nothing of the tree.
            b'V' if header.size() == Some(0) => {
                self.warnings.note(Normalisation::VolumeLabel, &[]);
                self.pending.clear();
                Ok(false)
            }
            _ => self.on_entry(header),
        }
    }

    fn on_extended(&mut self, typeflag: u8, header: Header<'_>) -> Result<(), Reason> {
        // Its own size: a PAX size is the file's (GHSA-3cv2-h65g-fgmm, CVE-2025-62518).
        let size = header.size().and_then(|size| u64::try_from(size).ok()).ok_or(Reason::Number("size"))?;
        let limit = self.limits.extended_header_bytes;
        let len = usize::try_from(size).ok().filter(|_| size <= limit);
        let len = len.ok_or(Reason::TooBig { what: "bytes in an extended header", limit })?;
        self.gathered.clear();
        self.state = State::Extended { typeflag, len };
        Ok(())
    }

    fn extended(&mut self, typeflag: u8, len: usize, input: &mut &[u8]) -> Result<(), Reason> {
        let part = take(input, input.len().min(len - self.gathered.len()));
        self.offset += part.len() as u64;
        if self.gathered.is_empty() && part.len() == len {
            self.on_extended_body(typeflag, part)?;
        } else {
            self.gathered.extend_from_slice(part);
            if self.gathered.len() < len {
                return Ok(());
            }
            let gathered = std::mem::take(&mut self.gathered);
            self.on_extended_body(typeflag, &gathered)?;
            self.gathered = gathered;
        }
        self.pad(len as u64);
        Ok(())
    }

    fn on_extended_body(&mut self, typeflag: u8, body: &[u8]) -> Result<(), Reason> {
        let pending = &mut self.pending;
        let is_repeated = match typeflag {
            b'x' | b'X' => std::mem::replace(&mut pending.has_pax, true),
            b'L' => pending.long_name.replace(body.to_vec()).is_some(),
            b'K' => pending.long_link.replace(body.to_vec()).is_some(),
            _ => {
                self.warnings.note(Normalisation::GlobalHeader, &[]);
                return read_global(body, &mut self.warnings);
            }
        };
        if is_repeated {
            self.warnings.add(Warning::RepeatedExtendedHeader { kind: typeflag })?;
        }
        if matches!(typeflag, b'x' | b'X') {
            pending.pax.read(body, &self.limits, &mut self.warnings)?;
        }
        Ok(())
    }

    fn on_entry(&mut self, header: Header<'_>) -> Result<bool, Reason> {
        if self.entries >= self.limits.entries {
            return Err(Reason::TooBig { what: "entries", limit: u64::from(self.limits.entries) });
        }
        self.entries += 1;
        let parser = Parser {
            header,
            pending: &mut self.pending,
            entry: &mut self.entry,
            scratch: &mut self.scratch,
            warnings: &mut self.warnings,
            limits: &self.limits,
            strictness: self.strictness,
        };
        let follows = parser.parse()?;
        self.pending.clear();
        if self.entry.is_sparse {
            self.expand()?;
        }
        match follows {
            Follows::Body => {
                self.enter_body();
                return Ok(true);
            }
            Follows::SparseBlocks => self.state = State::SparseBlocks { blocks: 0 },
            Follows::SparseText(map) => self.state = State::SparseText(map),
        }
        Ok(false)
    }

    /// Holes cost nothing in a tar, but whoever checks the file reads them all: together they count as a layer's bytes.
    fn expand(&mut self) -> Result<(), Reason> {
        self.expanded = self.expanded.saturating_add(self.entry.size);
        let limit = self.limits.layer_bytes;
        if self.expanded > limit {
            return Err(Reason::TooBig { what: "bytes in sparse files, holes expanded", limit });
        }
        Ok(())
    }

    /// The entry's map came to its end.
    fn sparse_entry(&mut self) -> Result<bool, Reason> {
        self.entry.sparse.complete(self.entry.size, self.entry.packed_size)?;
        self.enter_body();
        Ok(true)
    }

    const fn enter_body(&mut self) {
        self.state = match self.entry.packed_size {
            0 => State::Header,
            remaining => State::Body { remaining },
        };
    }

    /// What comes after the end: zeros are passed, anything else is bounded and told.
    fn trailing(&mut self, trailing: u64, input: &mut &[u8]) -> Result<(), Reason> {
        let rest = take(input, input.len());
        let zeros = if trailing > 0 { Some(0) } else { first_nonzero(rest) };
        if let Some(zeros) = zeros {
            if trailing == 0 {
                self.warnings.add(Warning::DataAfterEnd { offset: self.offset + zeros as u64 })?;
            }
            let trailing = trailing + (rest.len() - zeros) as u64;
            let limit = self.limits.trailing_bytes;
            if trailing > limit {
                return Err(Reason::TooBig { what: "bytes after the end of the archive", limit });
            }
            self.state = State::End { trailing };
        }
        self.offset += rest.len() as u64;
        Ok(())
    }
}

/// Where the first byte that is not zero stands. Zeros after the end can be gigabytes: looked at block by block.
fn first_nonzero(bytes: &[u8]) -> Option<usize> {
    let is_zero = |block: &Block| block.iter().fold(0, |bits, byte| bits | byte) == 0;
    let zeros = bytes.as_chunks().0.iter().take_while(|block| is_zero(block)).count() * BLOCK;
    bytes.iter().skip(zeros).position(|byte| *byte != 0).map(|place| zeros + place)
}

/// Splits off the first bytes: `len` is at most the input's.
fn take<'i>(input: &mut &'i [u8], len: usize) -> &'i [u8] {
    let (taken, rest) = input.split_at_checked(len).unwrap_or((*input, &[]));
    *input = rest;
    taken
}
