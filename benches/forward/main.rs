//! What it costs to carry a request to its owner: `cargo bench --all-features --bench forward`.
//!
//! # What is measured
//! - A machine whose layer carries every request to the owner (feature `forward`), beside HAProxy, nginx
//!   and Envoy as reverse proxies, and the owner asked directly. Each is one process of one thread and
//!   has a core for itself; the client and the owner, a bare hyper server, share a thread on the other one.
//! - Short requests with a browser's eight fields: how many a second over 32 connections, which the CPU of
//!   the proxy limits; the CPU time of its process for one; and how much later than the owner
//!   itself it answers on one connection. Here also hyper's server and client with a stack of idle connections
//!   and nothing between: what no layer over hyper can stay below.
//! - Bodies of 10 and 100 MB in both directions, on a connection each.
//! - 1,000 WebSockets that echo.
//!
//! All of them run in turns, every other round in the opposite order; ratios are taken within a round. What
//! is not installed is a row that says so: `benches/run forward` installs it. The parts `requests`,
//! `bodies` and `websockets` run alone if they are named. More or fewer rounds: `ROUNDS=20`.
//!
//! # Where the CPU of a short request goes
//! As profiled on 2026-11-27, not by this program:
//! - System calls by `strace -c`, 32 connections: 2 reads, 2 writes and 0.10 `epoll_wait` a request; HAProxy 2, 2
//!   and 0.06. (Before a request without a body was sent by `send` in the place of `writev`.)
//! - Instructions outside of the kernel by callgrind, one connection: 38,306 a request, and 28,837 of hyper's
//!   server and client with nothing between. Of the 9,469 more, 1,626 copy memory and 1,362 allocate and free.
//!   Before the way to an owner was kept, and a timer for each connection, it was 43,893 a request.

#![allow(
    clippy::expect_used,
    reason = "a benchmark that cannot run has to say why and stop"
)]
#![allow(
    clippy::doc_markdown,
    reason = "HAProxy and WebSocket are names, not code"
)]
#![allow(clippy::cast_precision_loss, reason = "counts of a few million")]

mod bare;
mod bodies;
mod client;
#[path = "../common/mod.rs"]
mod common;
#[path = "../common/core.rs"]
mod core;
mod machine;
mod owner;
mod process;
mod proxies;
mod requests;
#[path = "../../tests/support/mod.rs"]
mod support;
mod websockets;

use common::{
    quartiles::Quartiles,
    setup::sessions,
    table::{self, Table},
};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use proxies::Proxy;
use tokio::runtime::Builder;

const BENCH: &str = "forward";

/// The client's and the owner's; what is measured has the other one.
const CORE: usize = 1;

fn main() {
    let mut parts: Vec<_> = std::env::args().skip(1).collect();
    // The process that is measured is this program, too.
    if let [flag @ ("--machine" | "--bare"), port, owner] =
        &parts.iter().map(String::as_str).collect::<Vec<_>>()[..]
    {
        let (port, owner) = (port.parse(), owner.parse());
        let run = if *flag == "--machine" {
            machine::run
        } else {
            bare::run
        };
        return run(port.expect("a port"), owner.expect("an address"));
    }
    // `cargo test --benches` only wants to know that this compiles.
    if !parts.iter().any(|argument| argument == "--bench") {
        return;
    }
    parts.retain(|part| !part.starts_with("--"));
    let measures = |part: &str| parts.is_empty() || parts.iter().any(|one| one == part);
    table::begin(BENCH);
    // A thousand WebSockets are three thousand files, and what is started inherits the limit.
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("a limit");
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).expect("a limit");
    let runtime = Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    // A thread that stays on one core knows of no other, so this one is the last.
    let mut proxies = proxies::start(owner::start(&runtime));
    core::stay_on_core(CORE);
    let ids = sessions(1_024);
    if measures("requests") {
        requests::measure(&runtime, &proxies, &ids);
    }
    proxies.retain(|proxy| proxy.name != proxies::BARE);
    if measures("bodies") {
        bodies::measure(&runtime, &proxies, &ids[0]);
    }
    if measures("websockets") {
        websockets::measure(&runtime, &proxies, &ids[..1_000]);
    }
}

/// Rows of a table: the cells of those that run, and why the others do not.
fn rows(table: &mut Table, proxies: &[Proxy], cells: impl Fn(usize) -> Vec<Option<Quartiles>>) {
    for (at, proxy) in proxies.iter().enumerate() {
        match proxy.running {
            Ok(_) => table.row(proxy.name, cells(at)),
            Err(why) => {
                let name = format!("{}: not measured, {why}", proxy.name);
                table.row(&name, table.columns.clone().iter().map(|_| None));
            }
        }
    }
}

/// Calls `play` for every proxy in every round, and says how many rounds there were: so many unless the
/// environment has another number.
fn in_turns(rounds: usize, proxies: &[Proxy], mut play: impl FnMut(usize)) -> usize {
    let named = std::env::var("ROUNDS").ok();
    let rounds = named.map_or(rounds, |rounds| rounds.parse().expect("a number"));
    for round in 0..rounds {
        for at in 0..proxies.len() {
            let last = proxies.len() - 1;
            play(if round % 2 == 0 { at } else { last - at });
        }
    }
    rounds
}
