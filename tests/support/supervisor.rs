//! A server that cannot outlive the test process.
//!
//! Statics are never dropped, a panic may abort, and a test run may be killed; so nothing that
//! Rust runs at the end is enough. A small shell script is the server's parent instead, and it
//! waits on a pipe from this process. The kernel closes the pipe whatever happens here.
//! (`PR_SET_PDEATHSIG` would need `unsafe`, follows the thread and not the process, and cannot
//! remove a directory.)

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use super::account::Account;

const SCRIPT: &str = include_str!("supervisor.sh");

/// The parent of one server. Dropping it ends the server and removes its directory.
#[derive(Debug)]
pub struct Supervisor {
    shell: Child,
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    dir: PathBuf,
    pid: u32,
}

impl Supervisor {
    /// A supervisor of `command`, which is not started yet.
    ///
    /// `dir` becomes the supervisor's: it writes the server's output to the file `log` there, and
    /// removes it at the end. `last` is the signal that ends the server and its children.
    pub fn new<A: AsRef<OsStr>>(
        dir: &Path,
        account: Option<Account>,
        last: &str,
        command: &[A],
    ) -> Self {
        let mut shell = Command::new("sh");
        shell
            .args(["-c", SCRIPT, "supervisor"])
            .arg(dir)
            .arg(last)
            .args(command)
            // Our own directory may be closed to the account.
            .current_dir("/")
            // Ctrl-C goes to the foreground group: it must end the test, not its cleaning up.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        if let Some(account) = account {
            account.run(&mut shell);
        }
        let mut shell = shell.spawn().expect("sh");
        Self {
            orders: shell.stdin.take(),
            answers: BufReader::new(shell.stdout.take().expect("piped")),
            shell,
            dir: dir.to_owned(),
            pid: 0,
        }
    }

    /// Starts the server, with `more` arguments (which hold no space) at the end of its command.
    /// Returns its process id; it may still be loading.
    pub fn start(&mut self, more: &[&str]) -> u32 {
        let pid = self.order(&format!("start {}", more.join(" ")));
        self.pid = pid.parse().expect("a process id");
        self.pid
    }

    /// The process id of the server that was started last.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Sends `signal` to the server, which may have ended already, and returns its exit status when
    /// it has ended: 128 and more if a signal ended it.
    pub fn stop(&mut self, signal: &str) -> i32 {
        let status = self.order(&format!("stop {signal}"));
        status.parse().expect("an exit status")
    }

    /// Sends `signal` to the server and all its children.
    pub fn signal(&mut self, signal: &str) {
        self.order(&format!("signal {signal}"));
    }

    /// The server's directory, which goes with the supervisor.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// What the server has printed.
    pub fn log(&self) -> String {
        read_log(&self.dir)
    }

    fn order(&mut self, order: &str) -> String {
        self.ask(order)
            .unwrap_or_else(|error| panic!("the supervisor did not {order}: {error}"))
    }

    fn ask(&mut self, order: &str) -> io::Result<String> {
        let orders = self.orders.as_mut().expect("open until the drop");
        writeln!(orders, "{order}")?;
        let mut answer = String::new();
        if self.answers.read_line(&mut answer)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(answer.trim_end().to_owned())
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        self.orders = None;
        // Returns when the directory is gone.
        let _ = self.shell.wait();
    }
}

/// What the server in `dir` has printed so far.
pub fn read_log(dir: &Path) -> String {
    read_log_from(dir, 0)
}

/// The same without so many bytes at its beginning.
pub fn read_log_from(dir: &Path, begin: u64) -> String {
    let mut bytes = Vec::new();
    if let Ok(mut log) = File::open(dir.join("log")) {
        log.seek(SeekFrom::Start(begin)).expect("seek");
        log.read_to_end(&mut bytes).expect("the log");
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// How many bytes the server in `dir` has printed so far.
pub fn log_length(dir: &Path) -> u64 {
    dir.join("log").metadata().map_or(0, |log| log.len())
}

/// Whether the process has ended, although its parent may not have noticed.
///
/// Only Linux tells; elsewhere a caller's deadline decides.
pub fn has_ended(pid: u32) -> bool {
    if !Path::new("/proc/self/stat").exists() {
        return false;
    }
    // `PID (NAME) STATE ...`, and NAME may hold anything.
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')')
        .next()
        .is_none_or(|rest| rest.trim_start().is_empty() || rest.trim_start().starts_with('Z'))
}
