//! SBAT: the components of an image with their generations, by which firmware refuses what was revoked.
//!
//! What lives here: the text of an image that is built: what its stub and its kernel say, and that it is one. What does not:
//! what firmware makes of it. Source: shim's SBAT.md; the lines of images and addons are those of systemd's `ukify`.

use super::{pe::Pe, read_at::ReadAt};
use crate::BootError;

/// What every SBAT begins with.
const VERSION: &str = "sbat,1,SBAT Version,sbat,1,https://github.com/rhboot/shim/blob/main/SBAT.md";
const IMAGE: &str = "uki,1,UKI,uki,1,https://uapi-group.org/specifications/specs/unified_kernel_image/";
const ADDON: &str =
    "uki-addon,1,UKI Addon,addon,1,https://www.freedesktop.org/software/systemd/man/latest/systemd-stub.html";

/// The most bytes of an SBAT.
const SBAT_MAX: u64 = 64 << 10;

/// The SBAT of an image with this stub and this kernel; of an addon, which has no kernel, the stub's is not taken over.
pub(super) fn merged(stub: &dyn ReadAt, linux: Option<&dyn ReadAt>) -> Result<String, BootError> {
    let mut lines = vec![VERSION.to_owned()];
    match linux {
        Some(linux) => {
            for (file, name) in [(stub, "the stub"), (linux, "the kernel")] {
                lines.extend(components(file, name)?);
            }
            lines.push(IMAGE.to_owned());
        }
        None => lines.push(ADDON.to_owned()),
    }
    Ok(lines.join("\n") + "\n")
}

/// The lines of a file's SBAT after the first; none of what is no PE image or has none.
fn components(file: &dyn ReadAt, name: &str) -> Result<Vec<String>, BootError> {
    let Ok(pe) = Pe::read(file, name) else { return Ok(Vec::new()) };
    let Some(section) = pe.sections().iter().find(|section| section.is_called(".sbat")) else {
        return Ok(Vec::new());
    };
    let bytes = section.read(file, SBAT_MAX)?;
    let no_text = |_| BootError::malformed(name, "its section .sbat is no text");
    let text = String::from_utf8(bytes).map_err(no_text)?;
    let mut lines = text.trim_end_matches('\0').lines();
    if !lines.next().is_some_and(|first| first.starts_with("sbat,")) {
        return Ok(Vec::new());
    }
    Ok(lines.map(str::to_owned).collect())
}
