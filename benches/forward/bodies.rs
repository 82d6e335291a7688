//! Long bodies: the time and the CPU that they take, and that their length takes no memory.

use std::time::Instant;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    runtime::Runtime,
};
use tower_ownership::SessionId;

use crate::{
    BENCH,
    client::head,
    common::{quartiles::Quartiles, table::Table},
    in_turns, process,
    proxies::Proxy,
    rows,
};

const ROUNDS: usize = 5;
const MEGABYTE: usize = 1_000_000;
const SIZES: [usize; 2] = [10 * MEGABYTE, 100 * MEGABYTE];

#[derive(Clone, Copy, PartialEq)]
enum Way {
    Up,
    Down,
}

/// What one body showed.
struct Moved {
    seconds: f64,
    cpu: Option<f64>,
    /// Megabytes, beyond those of the idle process.
    peak: Option<f64>,
}

pub(crate) fn measure(runtime: &Runtime, proxies: &[Proxy], session: &SessionId) {
    // By proxy, then in the order of the columns.
    let kinds = [Way::Up, Way::Down].map(|way| SIZES.map(|size| (way, size)));
    let kinds = kinds.as_flattened();
    let mut moved: Vec<Vec<Vec<Moved>>> = Vec::new();
    moved.resize_with(proxies.len(), || kinds.iter().map(|_| Vec::new()).collect());
    let count = in_turns(ROUNDS, proxies, |at| {
        for (kind, (way, size)) in kinds.iter().enumerate() {
            let carried = carry(&proxies[at], session, *way, *size);
            moved[at][kind].extend(runtime.block_on(carried));
        }
    });
    publish(proxies, &moved, count);
}

async fn carry(proxy: &Proxy, session: &SessionId, way: Way, size: usize) -> Option<Moved> {
    let running = proxy.running.as_ref().ok()?;
    let pid = running.pid();
    pid.inspect(|pid| process::forget_peak(*pid));
    let (cpu, began) = (pid.map(process::cpu_time), Instant::now());
    let stream = TcpStream::connect(running.address)
        .await
        .expect("a connection");
    match way {
        Way::Up => send(stream, session, size).await,
        Way::Down => receive(stream, session, size).await,
    }
    let seconds = began.elapsed().as_secs_f64();
    let used = |pid| process::cpu_time(pid).saturating_sub(cpu.unwrap_or_default());
    Some(Moved {
        seconds,
        cpu: pid.map(|pid| used(pid).as_secs_f64()),
        peak: pid
            .zip(running.idle_memory)
            .map(|(pid, idle)| process::peak_memory(pid) - idle),
    })
}

async fn send(mut stream: TcpStream, session: &SessionId, size: usize) {
    let length = format!("content-length: {size}\r\nconnection: close\r\n");
    let head = head("POST", session, "upload", &length);
    stream.write_all(head.as_bytes()).await.expect("a server");
    let chunk = vec![b'x'; 65_536];
    let mut left = size;
    while left > 0 {
        let now = left.min(chunk.len());
        stream.write_all(&chunk[..now]).await.expect("a server");
        left -= now;
    }
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer");
    assert!(
        answer.starts_with("HTTP/1.1 200") && answer.ends_with("hello"),
        "{answer}"
    );
}

async fn receive(mut stream: TcpStream, session: &SessionId, size: usize) {
    let path = format!("download/{size}");
    let head = head("GET", session, &path, "connection: close\r\n");
    stream.write_all(head.as_bytes()).await.expect("a server");
    let (mut buffer, mut read) = (vec![0; 65_536], 0);
    loop {
        match stream.read(&mut buffer).await.expect("an answer") {
            0 => break,
            more => read += more,
        }
    }
    assert!((size..size + 2_048).contains(&read), "{read} bytes");
}

fn publish(proxies: &[Proxy], moved: &[Vec<Vec<Moved>>], count: usize) {
    let of = |at: usize, kind: usize, value: fn(&Moved) -> Option<f64>| {
        let values: Option<Vec<f64>> = moved[at][kind].iter().map(value).collect();
        values.map(Quartiles::of)
    };
    let note = format!(
        "{count} rounds in alternating order, a connection for each body; memory: the most that was in \
         memory, beyond that of the process before its first request; goal: the same for both sizes"
    );
    let columns = [
        "100 MB up, s",
        "CPU s",
        "100 MB down, s",
        "CPU s",
        "10 MB up, MiB",
        "100 MB up, MiB",
        "10 MB down, MiB",
        "100 MB down, MiB",
    ];
    let mut table = Table::new(BENCH, "long bodies", &note, &columns);
    rows(&mut table, proxies, |at| {
        vec![
            of(at, 1, |moved| Some(moved.seconds)),
            of(at, 1, |moved| moved.cpu),
            of(at, 3, |moved| Some(moved.seconds)),
            of(at, 3, |moved| moved.cpu),
            of(at, 0, |moved| moved.peak),
            of(at, 1, |moved| moved.peak),
            of(at, 2, |moved| moved.peak),
            of(at, 3, |moved| moved.peak),
        ]
    });
    table.publish();
}
