//! Progress of long calls, on standard error: bars for people, JSON lines for programs, or nothing.
//!
//! The libraries send typed events; here they become pixels. Standard output is never touched, so answers stay clean.

mod bars;
mod lines;

use std::io::{IsTerminal, stderr};
use std::sync::Arc;

use sealstone::store::control::ProgressSink;

use crate::args::ProgressMode;
pub use bars::Bars;

/// The sink for a mode; nothing for `none`, and for `auto` where standard error is no terminal.
pub fn sink(mode: ProgressMode) -> Option<(ProgressSink, Option<Arc<Bars>>)> {
    match mode {
        ProgressMode::None => None,
        ProgressMode::Auto if !stderr().is_terminal() => None,
        ProgressMode::Auto | ProgressMode::Bar => {
            let bars = Arc::new(Bars::new());
            let shown = Arc::clone(&bars);
            Some((Arc::new(move |event| shown.show(&event)), Some(bars)))
        }
        ProgressMode::Json => Some((lines::sink(), None)),
    }
}
