//! Many WebSockets: what their messages cost, and what they take in memory.

use std::time::{Duration, Instant};

use tokio::runtime::Runtime;
use tower_ownership::SessionId;

use crate::{
    BENCH,
    client::Client,
    common::{quartiles::Quartiles, table::Table},
    in_turns, process,
    proxies::Proxy,
    rows,
};

const ROUNDS: usize = 5;
const BURST: Duration = Duration::from_millis(500);

struct Round {
    per_second: f64,
    /// Microseconds of the proxy's process per message and its echo.
    cpu: Option<f64>,
    /// Megabytes.
    memory: Option<f64>,
}

pub(crate) fn measure(runtime: &Runtime, proxies: &[Proxy], ids: &[SessionId]) {
    let mut rounds: Vec<Vec<Round>> = Vec::new();
    rounds.resize_with(proxies.len(), Vec::new);
    let count = in_turns(ROUNDS, proxies, |at| {
        rounds[at].extend(play(runtime, &proxies[at], ids));
    });
    let note = format!(
        "{count} rounds in alternating order, all of new connections; every WebSocket sends a text of \
         16 bytes and waits for its echo; memory beyond that of the process before its first \
         request"
    );
    let columns = ["messages/s", "CPU us/message", "MiB", "idle MiB"];
    let title = format!("{} WebSockets", ids.len());
    let mut table = Table::new(BENCH, &title, &note, &columns);
    rows(&mut table, proxies, |at| {
        let of = |value: fn(&Round) -> Option<f64>| {
            let values: Option<Vec<f64>> = rounds[at].iter().map(value).collect();
            values.map(Quartiles::of)
        };
        let idle = proxies[at].running.as_ref().ok();
        vec![
            of(|round| Some(round.per_second)),
            of(|round| round.cpu),
            of(|round| round.memory),
            idle.and_then(|running| running.idle_memory)
                .map(Quartiles::exactly),
        ]
    });
    table.publish();
}

fn play(runtime: &Runtime, proxy: &Proxy, ids: &[SessionId]) -> Option<Round> {
    let running = proxy.running.as_ref().ok()?;
    let pid = running.pid();
    let mut client = Client::of_websockets(runtime, running.address, ids);
    let (cpu, began) = (pid.map(process::cpu_time), Instant::now());
    let count = client.burst(runtime, BURST).len() as f64;
    let per_second = count / began.elapsed().as_secs_f64();
    let used = |pid| process::cpu_time(pid).saturating_sub(cpu.unwrap_or_default());
    Some(Round {
        per_second,
        cpu: pid.map(|pid| used(pid).as_secs_f64() * 1e6 / count),
        memory: pid
            .zip(running.idle_memory)
            .map(|(pid, idle)| process::memory(pid) - idle),
    })
}
