//! Which names of a tar are whiteouts.

use crate::tar::Reason;

const PREFIX: &[u8] = b".wh.";

/// What the name of an entry means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Name<'a> {
    /// Itself.
    Plain,
    /// What lower layers have at this path is removed: the directory's path and the name.
    Whiteout(&'a [u8], &'a [u8]),
    /// What lower layers have in this directory is hidden.
    Opaque(&'a [u8]),
    /// Bookkeeping of AUFS, or something in it: nothing of the tree.
    Aufs,
}

/// The directory and the name of a normalised path.
pub(super) fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|byte| *byte == b'/') {
        Some(slash) => (path.get(..slash).unwrap_or_default(), path.get(slash + 1..).unwrap_or_default()),
        None => (&[], path),
    }
}

/// Reads a normalised path.
///
/// # Errors
/// [`Reason::Whiteout`] for a whiteout of nothing, of `.` or `..`, and for a directory with a whiteout's name.
pub(super) fn classify(path: &[u8]) -> Result<Name<'_>, Reason> {
    let (directory, name) = split(path);
    for component in directory.split(|byte| *byte == b'/') {
        if let Some(hidden) = component.strip_prefix(PREFIX) {
            if hidden.starts_with(PREFIX) {
                return Ok(Name::Aufs);
            }
            return Err(Reason::Whiteout("has entries below it"));
        }
    }
    let Some(hidden) = name.strip_prefix(PREFIX) else { return Ok(Name::Plain) };
    match hidden {
        b".wh..opq" => Ok(Name::Opaque(directory)),
        b"" => Err(Reason::Whiteout("names nothing")),
        b"." | b".." => Err(Reason::Whiteout("names the directory itself or its parent")),
        _ if hidden.starts_with(PREFIX) => Ok(Name::Aufs),
        _ => Ok(Name::Whiteout(directory, hidden)),
    }
}

/// Whether this is a whiteout's name: none that a tree holds.
pub(super) fn is_reserved(name: &[u8]) -> bool {
    name.starts_with(PREFIX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_whiteouts() {
        for (path, name) in [
            ("a/b", Ok(Name::Plain)),
            ("a/.wh", Ok(Name::Plain)),
            ("a/b.wh.c", Ok(Name::Plain)),
            ("a/.wh.b", Ok(Name::Whiteout(b"a", b"b"))),
            (".wh.b", Ok(Name::Whiteout(b"", b"b"))),
            ("a/.wh..b", Ok(Name::Whiteout(b"a", b".b"))),
            ("a/.wh..wh..opq", Ok(Name::Opaque(b"a"))),
            (".wh..wh..opq", Ok(Name::Opaque(b""))),
            ("a/.wh..wh.aufs", Ok(Name::Aufs)),
            ("a/.wh..wh.plnk/1.2", Ok(Name::Aufs)),
            ("a/.wh.", Err(Reason::Whiteout("names nothing"))),
            ("a/.wh..", Err(Reason::Whiteout("names the directory itself or its parent"))),
            ("a/.wh...", Err(Reason::Whiteout("names the directory itself or its parent"))),
            ("a/.wh.b/c", Err(Reason::Whiteout("has entries below it"))),
        ] {
            assert_eq!(classify(path.as_bytes()), name, "{path}");
        }
    }
}
