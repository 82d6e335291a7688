//! Requests to count the instructions of; `benches/instructions` (the script) does so.
//!
//! `instructions KIND COUNT` sends COUNT requests of a kind: `bare`, `none`, `owned`, `text`
//! (an id that is no UUID), `told`, `elsewhere`, `unknown`. Instructions hardly vary, where nanoseconds do, so
//! a change that makes a request dearer shows on any machine.
//!
//! # Where they go
//! As profiled on 2026-11-27, not by this program. The goals are 400, 600, 750, 1,250, 2,200 and 4,000.
//! - No session, 500: looking through the path 190; the rest are three moves of the request, one of the response,
//!   and a call of the service that is inlined into the bare run.
//! - Owned, 1,000: judging, the table and the future 325; path and UUID 235; the form of an answer, should the
//!   application say that it has lost the session, 145; moves of the request and the response 120; dropping
//!   what was kept 86. The extension for the handler costs 880 more, of them three
//!   allocations that `http` makes for a first one.
//! - Refused, 8,000: the page 950; copying it and the head 600; the head's map 600; escaping and checking 590; the
//!   date 260; six allocations; about twelve moves of the request and the response.

#![allow(
    clippy::expect_used,
    reason = "a benchmark that cannot run has to say why and stop"
)]

mod common;

use std::{convert::Infallible, env, hint::black_box};

use bytes::Bytes;
use common::setup::{
    ME, OTHER, all_owned_by, call, hello, layer, named_sessions, none, plain_request, sessions,
};
use http::Request;
use http_body_util::Full;
use tower::{Layer as _, Service, service_fn};
use tower_ownership::SessionId;

/// So few that their entries stay in the order of memory that they were made in.
const SESSIONS: u32 = 256;

fn main() {
    let mut arguments = env::args().skip(1);
    let kind = arguments.next().unwrap_or_default();
    let count = arguments.next();
    let count = count.and_then(|count| count.parse().ok()).unwrap_or(0);
    let owned = |tell| layer(all_owned_by(ME), |builder| builder.insert_owned(tell));
    let elsewhere = || layer(all_owned_by(OTHER), |builder| builder);
    let unknown = || layer(none(), |builder| builder);
    match kind.as_str() {
        "bare" => run(service_fn(hello), "/session", count),
        "none" => run(owned(true).layer(service_fn(hello)), "/assets", count),
        "text" => run_for(
            named_sessions(SESSIONS),
            owned(false).layer(service_fn(hello)),
            "/session",
            count,
        ),
        "owned" => run(owned(false).layer(service_fn(hello)), "/session", count),
        "told" => run(owned(true).layer(service_fn(hello)), "/session", count),
        "elsewhere" => run(elsewhere().layer(service_fn(hello)), "/session", count),
        "unknown" => run(unknown().layer(service_fn(hello)), "/session", count),
        // `cargo bench` runs every benchmark, with arguments of its own.
        _ => println!("run by benches/instructions, which counts"),
    }
}

fn run<S>(service: S, prefix: &str, count: u32)
where
    S: Service<Request<Full<Bytes>>, Error = Infallible>,
{
    run_for(sessions(SESSIONS), service, prefix, count);
}

fn run_for<S>(ids: Vec<SessionId>, mut service: S, prefix: &str, count: u32)
where
    S: Service<Request<Full<Bytes>>, Error = Infallible>,
{
    let request = |id: SessionId| {
        let (mut head, body) = plain_request(&id).into_parts();
        head.uri = format!("{prefix}/{id}/files").parse().expect("a path");
        Request::from_parts(head, body)
    };
    let requests: Vec<_> = ids.into_iter().map(request).collect();
    for request in &requests {
        drop(call(&mut service, request.clone()));
    }
    for at in 0..count as usize {
        let request = requests[at % requests.len()].clone();
        drop(black_box(call(&mut service, request)));
    }
}
