//! Progress as JSON lines, schema `sealstone.progress/1` (docs/json.md): one event a line, flushed at once.

use std::io::{self, Write};
use std::sync::Arc;

use sealstone::store::control::{Event, ProgressSink, TaskId, Unit, Work};
use serde_json::{Value, json};

/// A sink that writes to standard error. A reader that went away ends the lines, not the work.
pub fn sink() -> ProgressSink {
    write_line(&json!({ "event": "schema", "schema": "sealstone.progress/1" }));
    Arc::new(|event| {
        if let Some(line) = line(&event) {
            write_line(&line);
        }
    })
}

fn write_line(line: &Value) {
    let mut err = io::stderr().lock();
    let _ = writeln!(err, "{line}");
}

fn line(event: &Event) -> Option<Value> {
    Some(match event {
        Event::Started { task, work, name, total, unit } => json!({
            "event": "started", "task": number(*task), "work": work_name(*work), "name": name,
            "total": total, "unit": unit_name(*unit),
        }),
        Event::Advanced { task, done } => json!({ "event": "advanced", "task": number(*task), "done": done }),
        Event::Finished { task } => json!({ "event": "finished", "task": number(*task) }),
        Event::Skipped { work, name } => {
            json!({ "event": "skipped", "work": work_name(*work), "name": name })
        }
        Event::Warning(text) => json!({ "event": "warning", "text": text }),
        _ => return None,
    })
}

fn number(task: TaskId) -> u64 {
    task.number()
}

fn unit_name(unit: Unit) -> &'static str {
    match unit {
        Unit::Bytes => "bytes",
        _ => "items",
    }
}

fn work_name(work: Work) -> &'static str {
    match work {
        Work::CopyArchive => "copy-archive",
        Work::ImportLayer => "import-layer",
        Work::FetchArtifact => "fetch-artifact",
        Work::RebuildLayer => "rebuild-layer",
        Work::ExportLayer => "export-layer",
        Work::PushBlob => "push-blob",
        Work::CopyObjects => "copy-objects",
        Work::MergeImage => "merge-image",
        Work::Sync => "sync",
        Work::Mark => "mark",
        Work::Sweep => "sweep",
        Work::Check => "check",
        Work::Repair => "repair",
        Work::Index => "index",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_have_the_documented_shape() {
        let skipped = Event::Skipped { work: Work::ImportLayer, name: "sha256:ab".to_owned() };
        let expected = json!({ "event": "skipped", "work": "import-layer", "name": "sha256:ab" });
        assert_eq!(line(&skipped), Some(expected));
        let warning = Event::Warning("odd".to_owned());
        assert_eq!(line(&warning), Some(json!({ "event": "warning", "text": "odd" })));
    }
}
