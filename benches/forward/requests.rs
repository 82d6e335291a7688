//! Short requests: how many, what they cost, and how much later they are answered.

use std::time::{Duration, Instant};

use tokio::runtime::Runtime;
use tower_ownership::SessionId;

use crate::{
    BENCH,
    client::Client,
    common::{quartiles::Quartiles, table::Table},
    in_turns, process,
    proxies::{DIRECT, Proxy, REFERENCE, Running},
    rows,
};

const ROUNDS: usize = 12;
const CONNECTIONS: usize = 32;
const BURST: Duration = Duration::from_millis(500);
const LATENCY_BURST: Duration = Duration::from_millis(250);

/// What one round showed of one proxy.
#[derive(Clone, Copy)]
struct Round {
    per_second: f64,
    /// Microseconds of the proxy's process per request.
    cpu: Option<f64>,
    /// Microseconds until a request was answered, with one connection.
    p50: f64,
    p99: f64,
}

pub(crate) fn measure(runtime: &Runtime, proxies: &[Proxy], ids: &[SessionId]) {
    let clients = |connections| {
        let client = |proxy: &Proxy| {
            let address = proxy.running.as_ref().ok()?.address;
            let mut client = Client::of_requests(runtime, address, ids, connections);
            // Connections are made, and sessions are cached.
            client.burst(runtime, BURST);
            Some(client)
        };
        proxies.iter().map(client).collect::<Vec<_>>()
    };
    let (mut many, mut one) = (clients(CONNECTIONS), clients(1));
    let mut rounds: Vec<Vec<Round>> = vec![Vec::new(); proxies.len()];
    let count = in_turns(ROUNDS, proxies, |at| {
        if let (Some(many), Some(one)) = (&mut many[at], &mut one[at]) {
            rounds[at].push(play(runtime, &proxies[at], many, one));
        }
    });
    publish(proxies, &rounds, count);
}

fn play(runtime: &Runtime, proxy: &Proxy, many: &mut Client, one: &mut Client) -> Round {
    let pid = proxy.running.as_ref().ok().and_then(Running::pid);
    let (cpu, began) = (pid.map(process::cpu_time), Instant::now());
    let count = many.burst(runtime, BURST).len() as f64;
    let time = began.elapsed().as_secs_f64();
    let cpu = pid.zip(cpu).map(|(pid, before)| {
        let cpu = process::cpu_time(pid).saturating_sub(before);
        cpu.as_secs_f64() * 1e6 / count
    });
    let times = one.burst(runtime, LATENCY_BURST);
    let at = |percent: usize| times[times.len() * percent / 100].as_secs_f64() * 1e6;
    Round {
        per_second: count / time,
        cpu,
        p50: at(50),
        p99: at(99),
    }
}

fn publish(proxies: &[Proxy], rounds: &[Vec<Round>], count: usize) {
    let note = format!(
        "{count} rounds in alternating order; requests/s with {CONNECTIONS} connections, times with one; \
         ratios to {REFERENCE} within a round; goals: at least 0.95 of its requests/s, at most 1.03 \
         of its CPU and 1.1 of its added p50"
    );
    let columns = [
        "requests/s",
        "CPU us/request",
        "p50 added us",
        "p99 added us",
        "requests/s ratio",
        "CPU ratio",
        "added p50 ratio",
    ];
    let mut table = Table::new(BENCH, "short requests", &note, &columns);
    let of = |name| {
        let at = proxies.iter().position(|proxy| proxy.name == name);
        &rounds[at.expect("a proxy")]
    };
    let (direct, reference) = (of(DIRECT), of(REFERENCE));
    rows(&mut table, proxies, |at| {
        let rounds = &rounds[at];
        let each = |value: &dyn Fn(usize) -> Option<f64>| {
            let values: Option<Vec<f64>> = (0..rounds.len()).map(value).collect();
            values.map(Quartiles::of)
        };
        let added = |of: &[Round], at: usize| of[at].p50 - direct[at].p50;
        let is_direct = proxies[at].name == DIRECT;
        let beside = |value: &dyn Fn(&[Round], usize) -> Option<f64>| {
            each(&|at| Some(value(rounds, at)? / value(reference.get(..=at)?, at)?))
        };
        let beside = |value| (!is_direct).then(|| beside(value)).flatten();
        vec![
            each(&|at| Some(rounds[at].per_second)),
            each(&|at| rounds[at].cpu),
            each(&|at| Some(added(rounds, at))).filter(|_| !is_direct),
            each(&|at| Some(rounds[at].p99 - direct[at].p99)).filter(|_| !is_direct),
            beside(&|of, at| Some(of[at].per_second)),
            beside(&|of, at| of[at].cpu),
            beside(&|of, at| Some(added(of, at))),
        ]
    });
    table.publish();
}
