//! What a dynamic block begins with: the lengths of its codes, themselves coded (RFC 1951 §3.2.7).

use super::{
    Damage,
    bits::{Bits, low},
    code::{Code, Gaps, Walk},
};

/// The most symbols that a block may give lengths for: one literals' and lengths' code, one distances' code.
const MOST: (usize, usize) = (286, 30);

/// The order in which the lengths of the lengths' code come.
const ORDER: [u8; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

/// Reads them, as far as the input goes, and goes on with the next.
pub(super) struct Lengths {
    part: Part,
    /// How many symbols of each kind have a length.
    literals: usize,
    distances: usize,
    /// The lengths of the lengths' code.
    of_code: [u8; ORDER.len()],
    code: Code<{ ORDER.len() }>,
    /// How many lengths were read, and what they are.
    read: usize,
    all: [u8; MOST.0 + MOST.1],
}

/// The lengths of both codes, in bits.
pub(super) struct Read<'a> {
    pub(super) literals: &'a [u8],
    pub(super) distances: &'a [u8],
}

enum Part {
    Counts,
    /// The lengths' code: so many of so many lengths were read.
    Code {
        read: usize,
        of: usize,
    },
    Lengths,
}

/// What one symbol of the lengths' code says.
struct Run {
    length: u8,
    times: usize,
}

impl Lengths {
    pub(super) const fn new() -> Self {
        Self {
            part: Part::Counts,
            literals: 0,
            distances: 0,
            of_code: [0; ORDER.len()],
            code: Code::new(),
            read: 0,
            all: [0; MOST.0 + MOST.1],
        }
    }

    /// Begins with the next block's.
    pub(super) const fn begin(&mut self) {
        self.part = Part::Counts;
    }

    /// Reads on: the lengths of both codes, or nothing when they have not all come.
    pub(super) fn read(&mut self, bits: &mut Bits<'_>) -> Result<Option<Read<'_>>, Damage> {
        loop {
            match self.part {
                Part::Counts => {
                    let Some(counts) = bits.take(14) else { return Ok(None) };
                    self.literals = (counts & 31) as usize + 257;
                    self.distances = (counts >> 5 & 31) as usize + 1;
                    if self.literals > MOST.0 || self.distances > MOST.1 {
                        return Err(Damage::TooManySymbols);
                    }
                    self.of_code.fill(0);
                    self.part = Part::Code { read: 0, of: (counts >> 10) as usize + 4 };
                }
                Part::Code { read, of } if read < of => {
                    let Some(length) = bits.take(3) else { return Ok(None) };
                    let symbol = ORDER.get(read).copied().unwrap_or_default();
                    if let Some(place) = self.of_code.get_mut(usize::from(symbol)) {
                        *place = (length & 7) as u8;
                    }
                    self.part = Part::Code { read: read + 1, of };
                }
                Part::Code { .. } => {
                    self.code.set(&self.of_code, Gaps::None)?;
                    self.read = 0;
                    self.part = Part::Lengths;
                }
                Part::Lengths if self.read < self.literals + self.distances => {
                    let Some(run) = self.run(bits)? else { return Ok(None) };
                    let all = self.all.get_mut(..self.literals + self.distances).unwrap_or_default();
                    let places = all.get_mut(self.read..self.read + run.times).ok_or(Damage::Repeat)?;
                    places.fill(run.length);
                    self.read += run.times;
                }
                Part::Lengths => {
                    let (literals, rest) = self.all.split_at(self.literals);
                    let distances = rest.get(..self.distances).unwrap_or_default();
                    return Ok(Some(Read { literals, distances }));
                }
            }
        }
    }

    fn run(&self, bits: &mut Bits<'_>) -> Result<Option<Run>, Damage> {
        // The longest code has 7 bits, as do the most extra bits.
        if bits.count < 14 {
            bits.refill();
        }
        let (symbol, used) = match self.code.walk(bits.held, bits.count) {
            Walk::Symbol(symbol, used) => (symbol, used),
            Walk::Unfinished => return Ok(None),
            Walk::Invalid => return Err(Damage::TooFewCodes),
        };
        let (least, extra) = match symbol {
            0..16 => (1, 0),
            16 => (3, 2),
            17 => (3, 3),
            _ => (11, 7),
        };
        if bits.count < used + extra {
            return Ok(None);
        }
        let length = match symbol {
            0..16 => (symbol & 15) as u8,
            16 => {
                let before = self.read.checked_sub(1).and_then(|before| self.all.get(before));
                *before.ok_or(Damage::Repeat)?
            }
            _ => 0,
        };
        let times = least + (low(bits.held >> used, extra) & 127) as usize;
        bits.skip(used + extra);
        Ok(Some(Run { length, times }))
    }
}
