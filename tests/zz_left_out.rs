//! Says at the end of a run what it left out, for want of PgBouncer, Prometheus, nginx, Envoy or Chromium.
//!
//! Cargo runs the test files in the order of their names, hence this one's. `tests/run` installs
//! everything and leaves nothing out.
#![allow(clippy::doc_markdown)] // PgBouncer is a name, not code.

mod support;

use std::io::Write as _;

use support::left_out;

#[test]
fn what_was_left_out_is_said() {
    let left_out = left_out::take();
    if left_out.is_empty() {
        return;
    }
    let mut lines = format!("\n{} left out of this run:\n", left_out.len());
    for line in left_out {
        lines.push_str("  ");
        lines.push_str(&line);
        lines.push('\n');
    }
    lines.push_str("`tests/run` installs what is missing and leaves nothing out.\n\n");
    // libtest holds back only what goes through `print!` and `eprint!`.
    std::io::stderr().write_all(lines.as_bytes()).unwrap();
}
