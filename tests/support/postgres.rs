//! A private PostgreSQL server.
//!
//! The programs are taken from, in this order: the directory in `TOWER_OWNERSHIP_POSTGRES_BIN`,
//! the newest `/usr/lib/postgresql/*/bin` (Debian keeps them out of `PATH`), and `PATH`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use super::account::Account;
use super::database::Database;
use super::supervisor::{Supervisor, has_ended, read_log};
use super::{find_program, free_port, is_executable, server_dir};

/// The variable that names the directory of `initdb` and `postgres`.
const BIN: &str = "TOWER_OWNERSHIP_POSTGRES_BIN";

/// How long a server may take to start on a machine that is busy with other tests.
const START: Duration = Duration::from_secs(60);

const SETTINGS: &[&str] = &[
    "listen_addresses=127.0.0.1",
    // For many pools in one test, and many tests at once.
    "max_connections=300",
    // Nothing here has to survive a power cut.
    "fsync=off",
    // Nor has a commit to wait for it. Not `off`, which `verify` warns of.
    "synchronous_commit=local",
    "full_page_writes=off",
    "shared_buffers=32MB",
    // `Database::statements` and `Database::connections_made` read these.
    "log_statement=all",
    "log_connections=on",
    "log_line_prefix=%d|",
];

/// One PostgreSQL server with data of its own. It ends, and its files go, with the drop or with
/// the process.
#[derive(Debug)]
pub struct Cluster {
    port: u16,
    dir: PathBuf,
    supervisor: Mutex<Supervisor>,
}

impl Cluster {
    /// The cluster that all tests of this process share. Do not stop or freeze it.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Cluster> = OnceLock::new();
        SHARED.get_or_init(Self::private)
    }

    /// A cluster of one's own, for a test that stops or freezes it. Takes about a second.
    pub fn private() -> Self {
        Self::prepared(|_| Vec::new())
            .unwrap_or_else(|log| panic!("PostgreSQL did not start:\n{log}"))
    }

    /// A cluster whose data directory `prepare` may change before the first start; what it
    /// returns are further settings, each as `name=value`. A server that does not start with them
    /// is an error, which is what it printed.
    pub fn prepared(prepare: impl FnOnce(&Path) -> Vec<String>) -> Result<Self, String> {
        let bin = programs();
        let account = Account::unprivileged();
        let dir = server_dir(account);
        let data = dir.join("data");
        let postgres = bin.join("postgres");
        let command = [postgres.as_os_str(), "-D".as_ref(), data.as_os_str()];
        // First of all, so that the directory is removed whatever fails below.
        let mut supervisor = Supervisor::new(&dir, account, "QUIT", &command);

        initdb(&bin, &data, account);
        let mut settings: Vec<String> = SETTINGS.iter().map(ToString::to_string).collect();
        settings.push(format!("unix_socket_directories={}", dir.display()));
        settings.extend(prepare(&data));
        let quoted: Vec<String> = settings
            .iter()
            .filter_map(|setting| setting.split_once('='))
            .map(|(name, value)| format!("{name} = '{value}'"))
            .collect();
        fs::write(data.join("postgresql.auto.conf"), quoted.join("\n")).expect("settings");
        if let Some(account) = account {
            account.take_over(&data);
        }

        // Another process may take the port between our look at it and the server's.
        for _ in 0..5 {
            let port = free_port();
            match start(&mut supervisor, &dir, port) {
                Ok(()) => {
                    return Ok(Self {
                        port,
                        dir,
                        supervisor: Mutex::new(supervisor),
                    });
                }
                Err(log) if log.contains("could not bind") => {}
                Err(log) => return Err(log),
            }
        }
        Err("five free ports in a row were taken by others".to_owned())
    }

    /// A hot standby that follows `primary`, by streaming replication.
    pub fn standby_of(primary: &Self) -> Self {
        let follows = |data: &Path| {
            fs::remove_dir_all(data).expect("the data of initdb");
            let mut copy = Command::new(programs().join("pg_basebackup"));
            copy.args(["--no-sync", "--checkpoint=fast", "--username=postgres"])
                .args([
                    "--host=127.0.0.1",
                    &format!("--port={}", primary.port),
                    "--pgdata",
                ])
                .arg(data)
                .current_dir("/");
            if let Some(account) = Account::unprivileged() {
                account.run(&mut copy);
            }
            let output = copy.output().expect("pg_basebackup");
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "pg_basebackup failed:\n{said}");
            fs::write(data.join("standby.signal"), "").expect("standby.signal");
            let primary = format!("host=127.0.0.1 port={} user=postgres", primary.port);
            vec![format!("primary_conninfo={primary}")]
        };
        Self::prepared(follows).unwrap_or_else(|log| panic!("the standby did not start:\n{log}"))
    }

    /// A fresh, empty database of this cluster.
    pub async fn database(&self) -> Database {
        Database::create(&self.dir, self.port).await
    }

    /// The port of 127.0.0.1 that it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Holds the data, the log and the Unix socket.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Shuts the server down: connections are closed, new ones refused.
    pub fn stop(&self) {
        self.supervisor().stop("INT");
    }

    /// Ends the server without a shutdown (`immediate`): it recovers when it is started again.
    pub fn stop_at_once(&self) {
        self.supervisor().stop("QUIT");
    }

    /// Starts it again after [`stop`](Self::stop), with the same data on the same port.
    pub fn start(&self) {
        if let Err(log) = start(&mut self.supervisor(), &self.dir, self.port) {
            panic!("PostgreSQL did not start again:\n{log}");
        }
    }

    /// Stops every process of the server in its tracks (SIGSTOP). The kernel goes on accepting
    /// connections and data for it, and nobody ever answers.
    pub fn freeze(&self) {
        self.supervisor().signal("STOP");
    }

    /// Lets a frozen server go on.
    pub fn thaw(&self) {
        self.supervisor().signal("CONT");
    }

    fn supervisor(&self) -> MutexGuard<'_, Supervisor> {
        // A test that failed while it held the lock is no reason for others to fail.
        self.supervisor
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// The directory of `initdb` and `postgres`.
fn programs() -> PathBuf {
    let complete =
        |dir: &PathBuf| is_executable(&dir.join("initdb")) && is_executable(&dir.join("postgres"));
    if let Some(dir) = std::env::var_os(BIN).filter(|dir| !dir.is_empty()) {
        let dir = PathBuf::from(dir);
        assert!(
            complete(&dir),
            "{BIN} is {}, where initdb or postgres is missing",
            dir.display()
        );
        return dir;
    }
    let mut debian: Vec<(u32, PathBuf)> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let version = entry.file_name().to_str()?.parse().ok()?;
            Some((version, entry.path().join("bin")))
        })
        .filter(|(_, bin)| complete(bin))
        .collect();
    debian.sort();
    if let Some((_, bin)) = debian.pop() {
        return bin;
    }
    // In PATH there may be links; the server finds the rest of itself beside the real file.
    find_program("initdb", &[])
        .and_then(|initdb| Some(initdb.canonicalize().ok()?.parent()?.to_owned()))
        .filter(complete)
        .unwrap_or_else(|| {
            panic!(
                "these tests need a real PostgreSQL, and there is none: run them with `tests/run`, \
                 which installs it, or name the directory of initdb and postgres in {BIN}"
            )
        })
}

fn initdb(bin: &Path, data: &Path, account: Option<Account>) {
    let mut command = Command::new(bin.join("initdb"));
    command
        .args(["--no-sync", "--auth=trust", "--username=postgres"])
        .args(["--encoding=UTF8", "--locale=C", "--pgdata"])
        .arg(data)
        .current_dir("/");
    if let Some(account) = account {
        account.run(&mut command);
    }
    let output = command.output().expect("initdb");
    assert!(
        output.status.success(),
        "initdb failed:\n{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Starts the server and waits until it takes connections; otherwise says what it printed.
fn start(supervisor: &mut Supervisor, dir: &Path, port: u16) -> Result<(), String> {
    let seen = read_log(dir).len();
    let pid = supervisor.start(&["-p", &port.to_string()]);
    let deadline = Instant::now() + START;
    loop {
        // The eighth line is the state, which is what `pg_ctl --wait` reads too.
        let state = fs::read_to_string(dir.join("data/postmaster.pid")).unwrap_or_default();
        let mut lines = state.lines();
        if lines.next() == Some(&pid.to_string())
            && lines.nth(6).is_some_and(|state| state.trim() == "ready")
        {
            return Ok(());
        }
        if has_ended(pid) || Instant::now() > deadline {
            supervisor.stop("KILL");
            return Err(read_log(dir).split_off(seen));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}
