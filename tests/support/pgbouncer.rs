//! A real PgBouncer in transaction mode: what stands between many fleets and their database.

use std::fs;
use std::net::{Ipv4Addr, TcpStream};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::account::Account;
use super::database::Database;
use super::supervisor::{Supervisor, has_ended};
use super::{find_program, free_port, server_dir};

/// A pooler in front of a cluster. It ends with the drop or with the process.
#[derive(Debug)]
pub struct PgBouncer {
    port: u16,
    /// Held for its drop.
    _supervisor: Supervisor,
}

impl PgBouncer {
    /// How many server connections it keeps per database, for any number of clients.
    pub const POOL_SIZE: u32 = 2;

    /// The program, if this machine has it.
    pub fn find() -> Option<PathBuf> {
        find_program("pgbouncer", &["/usr/sbin", "/usr/local/sbin"])
    }

    /// A pooler in front of the cluster of `database`; `None` if PgBouncer is not installed, and
    /// then the test says so with [`left_out`](super::left_out()).
    pub fn in_front_of(database: &Database) -> Option<Self> {
        Self::ignoring(database, "")
    }

    /// The same; `parameters` of a client's start are passed over in silence, where otherwise they
    /// would be an error.
    pub fn ignoring(database: &Database, parameters: &str) -> Option<Self> {
        let program = Self::find()?;
        let account = Account::unprivileged();
        let dir = server_dir(account);
        let file = dir.join("pgbouncer.ini");
        let mut supervisor = Supervisor::new(
            &dir,
            account,
            "TERM",
            &[program.as_os_str(), file.as_os_str()],
        );
        // Another process may take the port between our look at it and the pooler's.
        for _ in 0..5 {
            let port = free_port();
            fs::write(&file, settings(database.port(), port, parameters)).expect("pgbouncer.ini");
            let pid = supervisor.start(&[]);
            let deadline = Instant::now() + Duration::from_secs(30);
            while !has_ended(pid) && Instant::now() < deadline {
                if TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok() {
                    return Some(Self {
                        port,
                        _supervisor: supervisor,
                    });
                }
                std::thread::sleep(Duration::from_millis(5));
            }
            supervisor.stop("KILL");
        }
        panic!("PgBouncer did not start:\n{}", supervisor.log());
    }

    /// The URL of `database` through this pooler.
    pub fn url(&self, database: &Database) -> String {
        database.url_through(self.port)
    }
}

fn settings(server: u16, port: u16, ignored: &str) -> String {
    let pool_size = PgBouncer::POOL_SIZE;
    // `auth_type = any` takes every client, and then the user has to be named here.
    format!(
        "[databases]
         * = host=127.0.0.1 port={server} user=postgres
         [pgbouncer]
         listen_addr = 127.0.0.1
         listen_port = {port}
         unix_socket_dir =
         auth_type = any
         pool_mode = transaction
         default_pool_size = {pool_size}
         max_client_conn = 500
         ignore_startup_parameters = {ignored}
        "
    )
}
