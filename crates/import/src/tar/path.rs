//! Paths of a layer: relative, normalised, confined.

use super::{Reason, Strictness};
use crate::Limits;

/// Writes `raw` onto `out` as components joined by single slashes, without `.`; the root is the empty path. Says whether
/// a `..` was resolved.
///
/// # Errors
/// [`Reason::Name`] when it is empty, holds NUL or (unless lenient, which clamps at the root) `..`;
/// [`Reason::TooBig`] past the bounds for components, their count and the whole.
pub(crate) fn normalise(
    what: &'static str,
    raw: &[u8],
    out: &mut Vec<u8>,
    limits: &Limits,
    strictness: Strictness,
) -> Result<bool, Reason> {
    out.clear();
    if raw.is_empty() {
        return Err(Reason::Name { what, problem: "is empty" });
    }
    let mut depth: usize = 0;
    let mut is_resolved = false;
    for component in raw.split(|byte| *byte == b'/') {
        match component {
            b"" | b"." => continue,
            b".." if strictness == Strictness::Lenient => {
                let parent = out.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
                out.truncate(parent);
                depth = depth.saturating_sub(1);
                is_resolved = true;
                continue;
            }
            b".." => return Err(Reason::Name { what, problem: "has a component \"..\"" }),
            _ => {}
        }
        if component.len() > limits.name_bytes {
            return Err(Reason::TooBig {
                what: "bytes in a path component",
                limit: limits.name_bytes as u64,
            });
        }
        if !out.is_empty() {
            out.push(b'/');
        }
        out.extend_from_slice(component);
        depth += 1;
    }
    if raw.contains(&0) {
        return Err(Reason::Name { what, problem: "holds a NUL byte" });
    }
    if out.len() > limits.path_bytes {
        return Err(Reason::TooBig { what: "bytes in a path", limit: limits.path_bytes as u64 });
    }
    if depth > limits.path_depth {
        return Err(Reason::TooBig { what: "components in a path", limit: limits.path_depth as u64 });
    }
    Ok(is_resolved)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normal(raw: &[u8], strictness: Strictness) -> Result<Vec<u8>, Reason> {
        let mut out = b"left over".to_vec();
        normalise("path", raw, &mut out, &Limits::default(), strictness).map(|_| out)
    }

    #[test]
    fn slashes_and_dots_fall_away() {
        for raw in ["a/b", "/a/b", "./a/b", "a//b", "a/./b", "a/b/", "//a/.//b/."] {
            assert_eq!(normal(raw.as_bytes(), Strictness::Normal).unwrap(), b"a/b", "{raw}");
        }
        for raw in [".", "./", "/", "//", "/./"] {
            assert_eq!(normal(raw.as_bytes(), Strictness::Normal).unwrap(), b"", "{raw}");
        }
        assert_eq!(normal(b"...", Strictness::Normal).unwrap(), b"...");
    }

    #[test]
    fn lenient_paths_clamp_at_the_root() {
        for (raw, path) in
            [("usr/../../etc/passwd", "etc/passwd"), ("usr/..", ""), ("a/b/../c", "a/c"), ("..", "")]
        {
            assert_eq!(normal(raw.as_bytes(), Strictness::Lenient).unwrap(), path.as_bytes(), "{raw}");
        }
    }
}
