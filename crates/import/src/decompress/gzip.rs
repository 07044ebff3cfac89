//! gzip, one member after another (RFC 1952 §2.2), as eStargz and pigz write it.
//!
//! zlib-rs checks every member's CRC and length. Zeros may follow the last member (tape padding); anything else may not.

use flate2::{Decompress, FlushDecompress, Status};

use super::{Compression, DecodeError, Step};

/// The window of every gzip member: 2^15 bytes.
const WINDOW_BITS: u8 = 15;

pub(super) struct Members {
    /// The member being decoded; none between two members.
    member: Option<Decompress>,
    /// A zero byte came where a member could begin: only zeros may follow.
    padding: bool,
}

impl Members {
    pub(super) fn new() -> Self {
        Self { member: Some(Decompress::new_gzip(WINDOW_BITS)), padding: false }
    }

    pub(super) fn step(&mut self, input: &[u8], output: &mut [u8]) -> Result<Step, DecodeError> {
        let mut step = Step::default();
        loop {
            let (Some(input), Some(output)) = (input.get(step.consumed..), output.get_mut(step.produced..))
            else {
                return Ok(step);
            };
            let Some(first) = input.first() else { return Ok(step) };
            let Some(member) = &mut self.member else {
                match first {
                    0x1f if !self.padding => self.member = Some(Decompress::new_gzip(WINDOW_BITS)),
                    0 if input.iter().all(|byte| *byte == 0) => {
                        self.padding = true;
                        step.consumed += input.len();
                        return Ok(step);
                    }
                    _ => return Err(DecodeError::Trailing(Compression::Gzip)),
                }
                continue;
            };
            let (before_in, before_out) = (member.total_in(), member.total_out());
            let status = member.decompress(input, output, FlushDecompress::None).map_err(|error| {
                DecodeError::Damaged {
                    compression: Compression::Gzip,
                    reason: error.message().map_or_else(|| error.to_string(), str::to_owned),
                }
            })?;
            let consumed = usize::try_from(member.total_in() - before_in).unwrap_or(usize::MAX);
            let produced = usize::try_from(member.total_out() - before_out).unwrap_or(usize::MAX);
            step.consumed += consumed;
            step.produced += produced;
            if status == Status::StreamEnd {
                self.member = None;
            } else if consumed == 0 && produced == 0 || produced == output.len() {
                return Ok(step);
            }
        }
    }

    pub(super) const fn finish(&self) -> Result<(), DecodeError> {
        if self.member.is_some() { Err(DecodeError::Truncated(Compression::Gzip)) } else { Ok(()) }
    }
}
