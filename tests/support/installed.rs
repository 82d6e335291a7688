//! What `tests/run` installs below `target/`.

use std::fs;
use std::path::{Path, PathBuf};

/// The folder below `target/`, if it holds what the list below `tests/support` says, in these versions.
pub fn installed(list: &str, folder: &str) -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let list = fs::read(root.join("tests/support").join(list)).expect("the list of versions");
    let folder = root.join("target").join(folder);
    (fs::read(folder.join("installed")).ok()? == list).then_some(folder)
}
