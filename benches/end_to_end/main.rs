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
//! - CPU time is that of the server's thread alone, as the kernel accounts for it: on a machine
//!   with other work it is the sharper number.
//! - The sessions are in the layer's cache before the clock runs.
//!
//! More or fewer pairs, and milliseconds of a burst: `ROUNDS=60 BURST=100`.

#![allow(
    clippy::expect_used,
    reason = "a benchmark that cannot run has to say why and stop"
)]

mod client;
#[path = "../common/mod.rs"]
mod common;
mod server;

use std::time::Duration;

use client::{Burst, Client};
use common::{
    quartiles::Quartiles,
    setup::{self, ME, OTHER, all_owned_by, hello, sessions},
    table::{self, Table},
};
use http::{Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use server::Server;
use tower::{Layer as _, service_fn};
use tower_ownership::SessionId;

const BENCH: &str = "end_to_end";
const SESSIONS: u32 = 10_000;

/// A server, and the one it is compared with.
struct Row {
    name: &'static str,
    server: Client,
    reference: Client,
    pairs: Vec<(Burst, Burst)>,
}

fn main() {
    table::begin(BENCH);
    let rounds = setting("ROUNDS", 60);
    let burst = Duration::from_millis(setting("BURST", 100));
    let runtime = client::runtime();
    let ids = sessions(SESSIONS);
    let mut rows = rows(&ids);
    for row in &mut rows {
        for client in [&mut row.server, &mut row.reference] {
            client.fill(&runtime);
            client.burst(&runtime, burst);
        }
    }
    for round in 0..rounds {
        for row in &mut rows {
            let measure = |client: &mut Client| client.burst(&runtime, burst);
            let pair = if round % 2 == 0 {
                let server = measure(&mut row.server);
                (server, measure(&mut row.reference))
            } else {
                let reference = measure(&mut row.reference);
                (measure(&mut row.server), reference)
            };
            row.pairs.push(pair);
        }
    }
    publish(&rows, rounds, burst);
}

fn rows(ids: &[SessionId]) -> Vec<Row> {
    let bare = || Server::start(service_fn(hello));
    let owned = |tell| {
        let layer = setup::layer(all_owned_by(ME), |builder| builder.tell_owned(tell));
        Server::start(layer.layer(service_fn(hello)))
    };
    let elsewhere = || {
        let layer = setup::layer(all_owned_by(OTHER), |builder| builder);
        Server::start(layer.layer(service_fn(hello)))
    };
    let row = |name, (path, status), server, reference, reference_status| Row {
        name,
        server: Client::new(server, path, ids, status),
        reference: Client::new(reference, path, ids, reference_status),
        pairs: Vec::new(),
    };
    let (session, assets) = ("/session", "/assets");
    let (ok, conflict) = (StatusCode::OK, StatusCode::CONFLICT);
    vec![
        row(
            "without the layer, beside itself",
            (session, ok),
            bare(),
            bare(),
            ok,
        ),
        row("no session", (assets, ok), owned(true), bare(), ok),
        row("owned", (session, ok), owned(true), bare(), ok),
        row(
            "owned, handlers are not told",
            (session, ok),
            owned(false),
            bare(),
            ok,
        ),
        row(
            "elsewhere, beside \"hello\"",
            (session, conflict),
            elsewhere(),
            bare(),
            ok,
        ),
        row(
            "elsewhere, beside the same answer to everything",
            (session, conflict),
            elsewhere(),
            same_answer(ids[0]),
            conflict,
        ),
    ]
}

/// A server that gives the layer's answer without a decision.
fn same_answer(id: SessionId) -> Server {
    let layer = setup::layer(all_owned_by(OTHER), |builder| builder);
    let mut service = layer.layer(service_fn(hello));
    let response = setup::call(&mut service, setup::plain_request(id));
    let (head, body) = response.into_parts();
    let body = futures_util::FutureExt::now_or_never(body.collect());
    let Some(Ok(body)) = body else {
        panic!("the body is there");
    };
    let (headers, body) = (head.headers, body.to_bytes());
    Server::start(service_fn(move |_| {
        let mut response = Response::new(Full::new(body.clone()));
        *response.status_mut() = head.status;
        response.headers_mut().clone_from(&headers);
        std::future::ready(Ok(response))
    }))
}

fn publish(rows: &[Row], rounds: u64, burst: Duration) {
    let note = format!(
        "{rounds} pairs of bursts of {} ms; ratios to hyper without the layer; goals: throughput \
         at least 0.98, CPU at most 1.02",
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
        "hyper over loopback, 64 connections",
        &note,
        &columns,
    );
    for row in rows {
        let by =
            |value: fn(&(Burst, Burst)) -> f64| Some(Quartiles::of(row.pairs.iter().map(value)));
        table.row(
            row.name,
            [
                by(|(row, _)| row.per_second),
                by(|(row, _)| row.cpu_per_request * 1e6),
                by(|(row, reference)| row.per_second / reference.per_second),
                by(|(row, reference)| row.cpu_per_request / reference.cpu_per_request),
            ],
        );
    }
    table.publish();
}

fn setting(name: &str, default: u64) -> u64 {
    let value = std::env::var(name).ok();
    value.map_or(default, |value| value.parse().expect("a number"))
}
