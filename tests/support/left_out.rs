//! A test that cannot run here says so; nothing is skipped silently.
//!
//! `tests/zz_left_out.rs` repeats it at the end of a run, and with [`REQUIRE_ALL`], which
//! `tests/run` sets, it is a failure.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::process::parent_id;
use std::path::{Path, PathBuf};

/// The variable that, set to `1`, makes leaving something out a failure.
pub const REQUIRE_ALL: &str = "TOWER_OWNERSHIP_REQUIRE_ALL";

/// Notes that `what` is not tested in this run, because of `why`. The test returns after it.
pub fn left_out(what: &str, why: &str) {
    assert!(
        std::env::var_os(REQUIRE_ALL).is_none_or(|value| value != "1"),
        "{what} cannot be left out, as {REQUIRE_ALL} is set: {why}"
    );
    note(&list(), what, why);
}

/// One line, at once on the terminal (libtest holds back only what goes through `print!` and
/// `eprint!`) and in the list.
fn note(list: &Path, what: &str, why: &str) {
    let _ = writeln!(std::io::stderr(), "LEFT OUT: {what}: {why}");
    fs::create_dir_all(list.parent().expect("a parent")).expect("create_dir");
    let mut list: File = OpenOptions::new()
        .create(true)
        .append(true)
        .open(list)
        .expect("the list of what was left out");
    // One write, so that lines of other tests cannot get into it.
    list.write_all(format!("{what}: {why}\n").as_bytes())
        .expect("write");
}

/// What was left out since the run began; the list is empty after it.
pub fn take() -> Vec<String> {
    let list = list();
    let text = fs::read_to_string(&list).unwrap_or_default();
    let _ = fs::remove_file(&list);
    let mut lines: Vec<String> = text.lines().map(ToOwned::to_owned).collect();
    lines.sort();
    lines.dedup();
    lines
}

/// All test binaries of one `cargo test` are children of the same cargo: its process id tells
/// this run from those before it.
fn list() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join("left-out")
        .join(parent_id().to_string())
}
