//! Ctrl-C and SIGTERM: the first cancels the running call cleanly, a second one ends the process at once.
//!
//! Both are safe: a killed import leaves nothing half-visible. The first is merely tidier.

use std::thread;

use sealstone::store::control::CancelToken;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::exit::Exit;

/// Cancels `token` on the first signal; exits on the second.
///
/// # Errors
/// The system refuses the handlers.
pub fn cancel_on_signal(token: CancelToken) -> std::io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    thread::Builder::new().name("signals".to_owned()).spawn(move || {
        for _ in signals.forever() {
            if token.is_cancelled() {
                std::process::exit(Exit::Cancelled as i32);
            }
            token.cancel();
        }
    })?;
    Ok(())
}
