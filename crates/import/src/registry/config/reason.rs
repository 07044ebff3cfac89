//! Reasons for errors that repeat nothing of the file: its values may be secrets.
//!
//! serde's own messages quote the value of a wrong type (`invalid type: string "hunter2", …`), and TOML's show the line.

use serde_json::error::Category;

/// What is wrong with a JSON document, by place and kind alone.
pub(super) fn json_reason(error: &serde_json::Error) -> String {
    let place = format!("line {} column {}", error.line(), error.column());
    match error.classify() {
        // These texts are fixed, and say the place.
        Category::Syntax => error.to_string(),
        Category::Eof => format!("it ends in the middle of a value, at {place}"),
        Category::Data | Category::Io => {
            format!("a value is of the wrong type, missing, unknown or there twice, at {place}")
        }
    }
}

/// What is wrong with a TOML document, by line and kind alone. `text` is the document.
pub(super) fn toml_reason(text: &str, error: &toml::de::Error) -> String {
    let start = error.span().map_or(0, |span| span.start);
    let line = text.bytes().take(start).filter(|byte| *byte == b'\n').count().saturating_add(1);
    let kind = error.message().lines().next().unwrap_or_default();
    // serde's own quote the value; the parser's say what it expected.
    if kind.starts_with("invalid type") || kind.starts_with("invalid value") {
        return format!("a value is of the wrong type, at line {line}");
    }
    format!("{kind}, at line {line}")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn a_reason_tells_the_place_and_no_value() {
        for (json, reason) in [
            ("{\"a\": \"hunter2\"}", "wrong type"),
            ("{\"a\": 1,\n}", "trailing comma at line 2"),
            ("{\"a\": ", "ends in the middle"),
            ("{\"a\": hunter2", "line 1"),
        ] {
            let error = serde_json::from_str::<BTreeMap<String, u8>>(json).unwrap_err();
            let told = json_reason(&error);
            assert!(told.contains(reason) && !told.contains("hunter2"), "{json}: {told}");
        }
    }
}
