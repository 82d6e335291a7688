//! Starting a server on a free port, and waiting until it listens.

use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use super::account::Account;
use super::supervisor::{Supervisor, has_ended};
use super::{free_port, server_dir};

/// Starts the server that `command` makes for a port, with its files in a directory of its own.
/// `last`: the signal that ends it.
pub fn start(
    account: Option<Account>,
    last: &str,
    command: impl Fn(u16, &Path) -> Vec<String>,
) -> (SocketAddr, Supervisor) {
    // Another process may take the port between our look at it and the server's.
    for _ in 0..5 {
        let (port, dir) = (free_port(), server_dir(account));
        let command = command(port, &dir);
        let mut supervisor = Supervisor::new(&dir, account, last, &command);
        let pid = supervisor.start(&[]);
        let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let deadline = Instant::now() + Duration::from_secs(30);
        while !has_ended(pid) && Instant::now() < deadline {
            if TcpStream::connect(addr).is_ok() {
                return (addr, supervisor);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        supervisor.stop("KILL");
        let log = supervisor.log();
        let program = &command[0];
        assert!(log.contains("in use"), "{program} did not start:\n{log}");
    }
    panic!("five free ports in a row were taken by others");
}
