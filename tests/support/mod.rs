//! What the tests stand on: a real PostgreSQL, PgBouncer, Prometheus, nginx, Envoy and Chromium, and a
//! network that can be cut.
//!
//! Every server here belongs to one test process. It listens on loopback only, keeps its files in
//! a temporary directory, and dies with the process, even if that is killed (see [`supervisor`]).

// Every test binary compiles this module and uses only its own part of it.
#![allow(dead_code)]
// A test binary exports nothing; here `pub` marks what a file offers to the tests.
#![allow(unreachable_pub)]
// PostgreSQL and PgBouncer are names, not code.
#![allow(clippy::doc_markdown)]
// A harness that cannot do its work has to stop the test, with the reason.
#![allow(clippy::expect_used, clippy::unwrap_used)]

pub mod account;
pub mod browser;
pub mod client;
pub mod container;
#[cfg(feature = "metrics")]
pub mod counted;
#[cfg(feature = "postgres")]
pub mod database;
pub mod envoy;
pub mod fixture;
#[cfg(feature = "postgres")]
pub mod incident;
pub mod installed;
pub mod left_out;
pub mod listening;
pub mod log;
pub mod machine;
pub mod mcp;
pub mod nginx;
#[cfg(feature = "postgres")]
pub mod pgbouncer;
pub mod picture;
#[cfg(feature = "postgres")]
pub mod postgres;
#[cfg(feature = "metrics")]
pub mod prometheus;
pub mod relay;
pub mod server;
pub mod supervisor;
#[cfg(feature = "tls")]
pub mod tls;

// What a test writes is `support::left_out(what, why)`.
#[allow(unused_imports)]
pub use left_out::left_out;

use std::error::Error;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Waits for what other processes are about to do; it fails if that takes long.
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    const LONG: Duration = Duration::from_secs(20);
    let deadline = Instant::now() + LONG;
    while !holds() {
        assert!(Instant::now() < deadline, "not within {LONG:?}: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The same for what is asked by a future.
pub async fn until_async(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    const LONG: Duration = Duration::from_secs(20);
    let deadline = Instant::now() + LONG;
    while !holds().await {
        assert!(Instant::now() < deadline, "not within {LONG:?}: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// An error and all that caused it, as one text.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

/// A port of 127.0.0.1 that nobody listens on.
///
/// It is below the range from which the kernel serves `bind(0)` and outgoing connections, so that
/// a server that is stopped for a while still finds its own port free. Another test process may
/// take it first: whoever uses the port has to be ready to ask again.
pub fn free_port() -> u16 {
    const FIRST: u32 = 12_000;
    const COUNT: u32 = 20_000;
    static NEXT: AtomicU32 = AtomicU32::new(0);
    // Test processes that run at the same time begin at different places.
    let begin = std::process::id().wrapping_mul(7_919) % COUNT;
    for _ in 0..COUNT {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = u16::try_from(FIRST + (begin + step) % COUNT).expect("FIRST + COUNT fits");
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
    panic!("no free port between {FIRST} and {}", FIRST + COUNT);
}

/// A new directory, owned by `owner`, for a server's files.
///
/// Nothing here removes it: the [`supervisor`] does, because it outlives a killed test.
pub fn server_dir(owner: Option<account::Account>) -> PathBuf {
    let dir = tempfile::Builder::new()
        .prefix("tower-ownership-")
        .tempdir()
        .expect("a temporary directory")
        .keep();
    if let Some(owner) = owner {
        owner.take_over(&dir);
    }
    dir
}

/// The executable file `name` in one of `dirs` or, after them, in `PATH`.
pub fn find_program(name: &str, dirs: &[&str]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    dirs.iter()
        .map(PathBuf::from)
        .chain(std::env::split_paths(&path))
        .map(|dir| dir.join(name))
        .find(|program| is_executable(program))
}

/// Whether `path` is a file (or a link to one) with an execute bit; a dangling link is not.
pub fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    path.metadata()
        .is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}
