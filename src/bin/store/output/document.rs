//! JSON for programs: one document a call, its first key naming the schema and its version (docs/json.md).

use std::io::{self, Write};

use serde::Serialize;

/// A document with its schema in front of the verb's own keys.
#[derive(Serialize)]
struct Document<'a, T: Serialize> {
    schema: &'a str,
    #[serde(flatten)]
    body: &'a T,
}

/// Writes `body` as a document of `schema`, such as `sealstone.images/1`, indented, with a newline at its end.
pub fn write_document(out: &mut dyn Write, schema: &str, body: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, &Document { schema, body })?;
    writeln!(out)
}
