//! What the kernel's command line asks of us: an image, ostree's business, or nothing.
//!
//! What lives here: the arguments `composefs.digest=`, `composefs=`, `composefs.state=` and `ostree=`. What does not: what
//! of it is there. Invariants: described arguments come before short ones, as bootc and composefs-rs try them; an argument
//! that this version does not know is passed over while another one is known.

use sealstone_boot::{ComposefsArg, Karg, Kargs};
use sealstone_store::ObjectId;

use crate::{SetupError, StateId};

const STATE: &str = "composefs.state";
const OSTREE: &str = "ostree";

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// There is no argument for us.
    Nothing,
    /// ostree's own program makes the root.
    Ostree,
    /// An image becomes the root.
    Image(Request),
}

/// Which image, and what goes with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The images in the order in which they are tried; at least one.
    pub candidates: Vec<ComposefsArg>,
    /// Arguments that could not be read, and why.
    pub unreadable: Vec<String>,
    /// The folder of state; the image's own when nothing is said.
    pub state: Option<StateId>,
    /// All arguments, for what else is in them.
    pub kargs: Kargs,
}

impl Asked {
    /// Reads the text of `/proc/cmdline`.
    ///
    /// # Errors
    /// [`SetupError::Arguments`] when arguments name an image and none of them can be read, or the folder of state is none.
    pub fn parse(command_line: &str) -> Result<Self, SetupError> {
        let kargs = Kargs::of_running_kernel(command_line);
        if kargs.find(OSTREE).is_some() {
            return Ok(Self::Ostree);
        }
        let (mut candidates, mut unreadable) = (Vec::new(), Vec::new());
        for karg in kargs.iter().filter(|karg| ComposefsArg::is_named_by(karg)) {
            match ComposefsArg::try_from(karg) {
                Ok(arg) => candidates.push(arg),
                Err(error) => unreadable.push(error.to_string()),
            }
        }
        candidates.sort_by_key(|arg| arg.described().is_none());
        if candidates.is_empty() {
            if unreadable.is_empty() {
                return Ok(Self::Nothing);
            }
            return Err(SetupError::Arguments { reason: unreadable.join("; ") });
        }
        let state = kargs.iter().filter(|karg| karg.has_key(STATE)).filter_map(Karg::value).next_back();
        let state = state.map(str::parse).transpose()?;
        Ok(Self::Image(Request { candidates, unreadable, state, kargs }))
    }
}

impl Request {
    /// The folder of state that goes with an image.
    #[must_use]
    pub fn state_of(&self, image: &ObjectId) -> StateId {
        self.state.clone().unwrap_or_else(|| StateId::of_image(image))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn request(line: &str) -> Request {
        match Asked::parse(line).unwrap() {
            Asked::Image(request) => request,
            other => panic!("{line}: {other:?}"),
        }
    }

    fn id(byte: &str, len: usize) -> String {
        byte.repeat(len)
    }

    #[test]
    fn every_spelling_is_read_and_described_ones_are_tried_first() {
        let (short, long, other) = (id("ab", 64), id("cd", 64), id("ef", 32));
        let line = format!(
            "quiet composefs=?{short} rw composefs.digest=v1-sha512-12:{long} composefs.digest=?v2-sha256-12:{other}"
        );
        let found = request(&line);
        let ids: Vec<_> = found.candidates.iter().map(|arg| arg.image().to_hex()).collect();
        assert_eq!(ids, [long, other, short]);
        let optional: Vec<_> = found.candidates.iter().map(ComposefsArg::is_verity_optional).collect();
        assert_eq!(optional, [false, true, true]);
        assert_eq!(found.state_of(found.candidates[0].image()).to_string(), ids[0]);
    }

    #[test]
    fn a_spelling_of_the_future_is_passed_over_while_another_is_known() {
        let line = format!("composefs.digest=v9-blake3-16:aa composefs={}", id("ab", 64));
        let found = request(&line);
        assert_eq!((found.candidates.len(), found.unreadable.len()), (1, 1));
        let error = Asked::parse("composefs.digest=v9-blake3-16:aa").unwrap_err();
        assert!(error.to_string().contains("v9"), "{error}");
        assert!(Asked::parse("composefs").is_err());
    }

    #[test]
    fn the_state_is_the_one_that_is_named_last() {
        let hex = id("ab", 64);
        let found = request(&format!("composefs.state=a composefs={hex} composefs.state={hex}.2"));
        assert_eq!(found.state_of(found.candidates[0].image()).to_string(), format!("{hex}.2"));
        assert!(Asked::parse(&format!("composefs={hex} composefs.state=../x")).is_err());
    }

    #[test]
    fn without_an_argument_or_with_ostrees_nothing_is_done() {
        assert_eq!(Asked::parse("quiet composefsx=1 -- composefs=ab").unwrap(), Asked::Nothing);
        assert_eq!(Asked::parse("").unwrap(), Asked::Nothing);
        let line = format!("ostree=/ostree/boot.1/x composefs={}", id("ab", 64));
        assert_eq!(Asked::parse(&line).unwrap(), Asked::Ostree);
    }

    proptest! {
        #[test]
        fn no_command_line_panics(line in "\\PC{0,80}") {
            let _ = Asked::parse(&line);
        }

        #[test]
        fn an_image_is_found_whatever_stands_around_it(
            before in "[a-z .=-]{0,40}", after in "[a-z .=-]{0,40}", byte in 0_u8..=255
        ) {
            prop_assume!(!before.split(' ').any(|word| word == "--" || word.starts_with("ostree")));
            let after = after.replace("ostree", "");
            let hex = format!("{byte:02x}").repeat(64);
            let found = request(&format!("{before} composefs={hex} {after}"));
            prop_assert!(found.candidates.iter().any(|arg| arg.image().to_hex() == hex));
        }
    }
}
