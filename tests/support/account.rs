//! The account that servers run as: PostgreSQL and PgBouncer refuse to run as root.

use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use nix::unistd::{User, geteuid};

/// A user without privileges.
#[derive(Clone, Copy, Debug)]
pub struct Account {
    uid: u32,
    gid: u32,
}

impl Account {
    /// `None` unless the tests run as root (in a container, in CI); then `postgres`, else `nobody`.
    pub fn unprivileged() -> Option<Self> {
        if !geteuid().is_root() {
            return None;
        }
        let user = ["postgres", "nobody"]
            .iter()
            .find_map(|name| User::from_name(name).ok().flatten())
            .expect("the tests run as root, and there is neither a user postgres nor a user nobody to run a server as");
        Some(Self {
            uid: user.uid.as_raw(),
            gid: user.gid.as_raw(),
        })
    }

    /// Makes `command` run as this account. Dropping rights needs neither `su` nor `sudo`.
    pub fn run(self, command: &mut Command) {
        command.uid(self.uid).gid(self.gid);
    }

    /// Gives `path`, and everything below it, to this account.
    pub fn take_over(self, path: &Path) {
        chown(path, Some(self.uid), Some(self.gid)).expect("chown");
        if path.is_dir() {
            for entry in path.read_dir().expect("read_dir") {
                self.take_over(&entry.expect("read_dir").path());
            }
        }
    }
}
