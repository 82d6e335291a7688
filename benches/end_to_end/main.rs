//! What the layer takes from a server: `cargo bench --bench end_to_end`.
//!
//! # What is measured
//! - hyper over loopback TCP, with and without the layer. Every server has a thread of its own,
//!   and 64 connections are kept open to each. The client writes requests that were put into
//!   bytes before, so that the server is what one waits for.
//! - Bursts in pairs: one at the server of a row, one at the server it is compared with, in turns
//!   which goes first. Ratios are taken within a pair; the table shows the median of the pairs
//!   and between which quartiles they lie. The first row compares two servers that are alike: it
//!   tells how far to trust the others.
//! - axum in the place of hyper alone.
//! - What is done by hand in the place of the layer: nginx and HAProxy that find the session's machine
//!   in a `map` which they have loaded, beside the same server without it. Such a list knows nothing of
//!   a session that began or moved after it was loaded.
//! - CPU time is that of the server's thread or process alone, as the kernel accounts for it: on a machine
//!   with other work it is the sharper number.
//! - Every few rounds new servers take the place of the old ones.
//! - The sessions are in the layer's cache before the clock runs.
//!
//! More or fewer pairs, and milliseconds of a burst: `ROUNDS=60 BURST=100`.

#![allow(
    clippy::expect_used,
    reason = "a benchmark that cannot run has to say why and stop"
)]
#![allow(clippy::doc_markdown, reason = "HAProxy is a name, not code")]

mod client;
#[path = "../common/mod.rs"]
mod common;
#[path = "../common/core.rs"]
mod core;
mod maps;
#[path = "../forward/process.rs"]
#[allow(dead_code, reason = "memory is not measured here")]
mod process;
mod server;
#[path = "../../tests/support/mod.rs"]
mod support;

use std::time::Duration;

use axum::Router;
use client::{Burst, Client};
use common::{
    quartiles::Quartiles,
    setup::{self, ME, OTHER, all_owned_by, hello, sessions},
    table::{self, Table},
};
use futures_util::FutureExt as _;
use http::{Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use server::Server;
use tokio::runtime::Runtime;
use tower::{Layer as _, service_fn};
use tower_ownership::SessionId;

const BENCH: &str = "end_to_end";
const SESSIONS: u32 = 10_000;

/// Servers that are alike still differ by some percent, by where their memory happens to lie. So
/// none of them stays for long.
const ROUNDS_OF_A_SERVER: u64 = 5;

/// A server, and the one it is compared with.
struct Row {
    name: &'static str,
    path: &'static str,
    start: [fn() -> Server; 2],
    clients: Option<[Client; 2]>,
    pairs: Vec<[Burst; 2]>,
}

fn main() {
    table::begin(BENCH);
    let rounds = setting("ROUNDS", 60);
    let burst = Duration::from_millis(setting("BURST", 100));
    let runtime = client::runtime();
    let ids = sessions(SESSIONS);
    let mut rows = rows();
    for round in 0..rounds {
        for row in &mut rows {
            if round % ROUNDS_OF_A_SERVER == 0 {
                row.start(&runtime, &ids);
            }
            row.measure(&runtime, burst, round % 2 == 0);
        }
    }
    publish(&rows, rounds, burst);
}

fn rows() -> Vec<Row> {
    let row = |name, path, server, reference| Row {
        name,
        path,
        start: [server, reference],
        clients: None,
        pairs: Vec::new(),
    };
    let mut rows = vec![
        row("without the layer, beside itself", "/session", bare, bare),
        row("no session", "/assets", owned, bare),
        row("owned", "/session", owned, bare),
        row("owned, handlers not told", "/session", owned_untold, bare),
        row("elsewhere, beside \"hello\"", "/session", elsewhere, bare),
        row(
            "elsewhere, beside its answer sent to everybody",
            "/session",
            elsewhere,
            same_answer,
        ),
        row("axum, owned", "/session", axum_owned, axum_bare),
    ];
    if maps::nginx_program().is_some() {
        rows.push(row(maps::NGINX, "/session", maps::nginx, maps::nginx_bare));
    }
    if maps::haproxy_program().is_some() {
        let (asks, bare) = (maps::haproxy as fn() -> Server, maps::haproxy_bare);
        rows.push(row(maps::HAPROXY, "/session", asks, bare));
    }
    rows
}

fn bare() -> Server {
    Server::start(StatusCode::OK, service_fn(hello))
}

fn owned() -> Server {
    let layer = setup::layer(all_owned_by(ME), |builder| builder);
    Server::start(StatusCode::OK, layer.layer(service_fn(hello)))
}

fn owned_untold() -> Server {
    let layer = setup::layer(all_owned_by(ME), |builder| builder.insert_owned(false));
    Server::start(StatusCode::OK, layer.layer(service_fn(hello)))
}

fn elsewhere() -> Server {
    let layer = setup::layer(all_owned_by(OTHER), |builder| builder);
    Server::start(StatusCode::CONFLICT, layer.layer(service_fn(hello)))
}

fn axum_bare() -> Server {
    Server::start(StatusCode::OK, greeting())
}

fn axum_owned() -> Server {
    let layer = setup::layer(all_owned_by(ME), |builder| builder);
    Server::start(StatusCode::OK, greeting().layer(layer))
}

fn greeting() -> Router {
    Router::new().fallback(async || "hello")
}

/// What the layer answers for a session elsewhere, without a decision.
fn same_answer() -> Server {
    let layer = setup::layer(all_owned_by(OTHER), |builder| builder);
    let mut service = layer.layer(service_fn(hello));
    let request = setup::plain_request(&sessions(1)[0].clone());
    let (head, body) = setup::call(&mut service, request).into_parts();
    let body = body.collect().now_or_never();
    let body = body.expect("no wait").expect("a body").to_bytes();
    let service = service_fn(move |_| {
        let mut response = Response::new(Full::new(body.clone()));
        *response.status_mut() = head.status;
        response.headers_mut().clone_from(&head.headers);
        std::future::ready(Ok(response))
    });
    Server::start(StatusCode::CONFLICT, service)
}

impl Row {
    /// Starts new servers in the place of those that ran.
    fn start(&mut self, runtime: &Runtime, ids: &[SessionId]) {
        let client = |start: fn() -> Server| {
            let mut client = Client::new(start(), self.path, ids);
            client.fill(runtime);
            client
        };
        self.clients = Some(self.start.map(client));
    }

    fn measure(&mut self, runtime: &Runtime, burst: Duration, row_first: bool) {
        let [row, reference] = self.clients.as_mut().expect("servers");
        let pair = if row_first {
            let row = row.burst(runtime, burst);
            [row, reference.burst(runtime, burst)]
        } else {
            let reference = reference.burst(runtime, burst);
            [row.burst(runtime, burst), reference]
        };
        self.pairs.push(pair);
    }
}

fn publish(rows: &[Row], rounds: u64, burst: Duration) {
    let note = format!(
        "{rounds} pairs of bursts of {} ms; ratios to the same server without the layer or the map; \
         goals: throughput at least 0.98, CPU at most 1.02",
        burst.as_millis()
    );
    let columns = [
        "requests/s",
        "CPU us/request",
        "throughput ratio",
        "CPU ratio",
    ];
    let mut table = Table::new(
        BENCH,
        "a server over loopback, 64 connections",
        &note,
        &columns,
    );
    for row in rows {
        let by = |value: fn(&[Burst; 2]) -> f64| Some(Quartiles::of(row.pairs.iter().map(value)));
        let cells = [
            by(|[row, _]| row.per_second),
            by(|[row, _]| row.cpu_per_request * 1e6),
            by(|[row, reference]| row.per_second / reference.per_second),
            by(|[row, reference]| row.cpu_per_request / reference.cpu_per_request),
        ];
        table.row(row.name, cells);
    }
    for name in [maps::NGINX, maps::HAPROXY] {
        if !rows.iter().any(|row| row.name == name) {
            let name =
                format!("{name}: not measured, it is not installed; benches/run installs it");
            table.row(&name, columns.map(|_| None));
        }
    }
    table.publish();
}

fn setting(name: &str, default: u64) -> u64 {
    let value = std::env::var(name).ok();
    value.map_or(default, |value| value.parse().expect("a number"))
}
