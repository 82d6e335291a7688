//! What a run that failed leaves behind, to find the reason by.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use crate::check::Violation;
use crate::run::Run;

/// Writes all of it below Cargo's directory for what tests leave, and says where.
pub fn keep(run: &Run, violations: &[Violation]) -> PathBuf {
    let history = &run.history;
    let settings = &history.settings;
    let dir = format!("chaos-{}-{}", settings.handover.name(), settings.seed);
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(dir);
    fs::create_dir_all(&dir).expect("a directory");
    let write = |name: &str, text: String| fs::write(dir.join(name), text).expect("a file");
    write(
        "violations",
        lines(violations.iter().map(ToString::to_string)),
    );
    let mut requests: Vec<_> = history.requests.iter().collect();
    requests.sort_by_key(|request| request.sent);
    write(
        "requests",
        lines(requests.iter().map(|one| format!("{one:?}"))),
    );
    write(
        "rows",
        lines(history.rows.iter().map(|one| format!("{one:?}"))),
    );
    write(
        "writes",
        lines(history.writes.iter().map(|one| format!("{one:?}"))),
    );
    write(
        "streams",
        lines(history.streams.iter().map(|one| format!("{one:?}"))),
    );
    write(
        "processes",
        lines(history.processes.iter().map(|one| format!("{one:?}"))),
    );
    write(
        "troubles",
        lines(history.troubles.iter().map(|one| format!("{one:?}"))),
    );
    write(
        "notes",
        lines(run.notes.iter().map(|(at, note)| format!("{at:?} {note}"))),
    );
    for (at, (machine, log)) in run.logs.iter().enumerate() {
        write(&format!("log-{at}-{machine}"), log.clone());
    }
    dir
}

fn lines(lines: impl Iterator<Item = String>) -> String {
    lines.fold(String::new(), |mut text, line| {
        let _ = writeln!(text, "{line}");
        text
    })
}
