//! Prints results as a Markdown table.

use std::fmt::Write;

use crate::peer::Peer;
use crate::results::Results;

/// The table, with the machine's description above it.
pub fn markdown(results: &Results) -> String {
    let machine = &results.machine;
    let sha = if machine.sha_ni { "with" } else { "without" };
    let mut text = format!(
        "{}, {sha} SHA-NI, {} GiB, Linux {}; each run on a fresh ext4 on a direct-I/O loop device, input in the page \
         cache, the final sync counted. Times are medians; a ratio is a peer's wall time over ours, made inside each \
         round of interleaved runs.\n\n\
         | work | program | n | wall s | ratio | CPU s | peak MiB | stored MB | files |\n\
         |---|---|---:|---:|---:|---:|---:|---:|---:|\n",
        machine.processor, machine.memory, machine.kernel
    );
    for work in results.works() {
        for peer in work.peers() {
            let Some(row) = results.summary(work, *peer, Peer::Sealstone) else { continue };
            let ratio = row.ratio.map_or_else(|| "–".to_owned(), |ratio| format!("{ratio:.2}"));
            // Writing to a String cannot fail.
            let _ = writeln!(
                text,
                "| {} | {} | {} | {:.2} | {ratio} | {:.2} | {:.0} | {} | {} |",
                work.label(),
                peer.label().replace('|', "\\|"),
                row.count,
                row.wall,
                row.cpu,
                row.rss,
                row.stored.0 / 1_000_000,
                row.stored.1
            );
        }
    }
    text
}
