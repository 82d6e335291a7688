//! Clients that read a large answer slowly, or stop reading it.

use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpSocket;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use uuid::Uuid;

use crate::fleet::Fleet;

/// More than one machine looks up for at a time.
const READERS: usize = 4;

/// What is read between two pauses: from so little that the machine writes for a moment, and stops
/// while it asks for the session's row, to more than all buffers on the way hold.
const AT_ONCE: Range<usize> = 64 * 1024..6 * 1024 * 1024;

/// Small, so that a pause of the client soon is one of the machine.
const BUFFER: u32 = 64 * 1024;

/// Readers of one machine. They end with the drop.
pub struct SlowReaders {
    _tasks: JoinSet<()>,
}

impl SlowReaders {
    pub fn of(fleet: &Arc<Fleet>, machine: &str, ways: &[SocketAddr], sessions: &[Uuid]) -> Self {
        let freshness = fleet.settings.freshness;
        let mut tasks = JoinSet::new();
        let ways = ways.iter().cycle();
        let readers = sessions.iter().cycle().zip(ways).take(READERS);
        for (at, (session, addr)) in readers.enumerate() {
            let (session, addr) = (*session, *addr);
            let mut dice = Rng::with_seed(fleet.settings.seed ^ u64::from(addr.port()) ^ at as u64);
            tasks.spawn(async move {
                // A session that has moved on is refused, or its stream ends.
                loop {
                    let _ = read(addr, session, freshness, &mut dice).await;
                    sleep(Duration::from_millis(50)).await;
                }
            });
        }
        let note = format!("{READERS} slow readers of {machine}: {sessions:?}");
        fleet.recorder.note(note);
        Self { _tasks: tasks }
    }
}

/// Reads much, then pauses: mostly for as long as after which the machine reads the session's row
/// again while it writes on, and then for several times as long.
async fn read(
    addr: SocketAddr,
    session: Uuid,
    freshness: Duration,
    dice: &mut Rng,
) -> std::io::Result<()> {
    let socket = TcpSocket::new_v4()?;
    socket.set_recv_buffer_size(BUFFER)?;
    let mut stream = socket.connect(addr).await?;
    let request = format!("GET /session/{session}/download HTTP/1.1\r\nhost: slow\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut buffer = vec![0; BUFFER as usize];
    loop {
        let mut left = if dice.bool() {
            dice.usize(AT_ONCE)
        } else {
            dice.usize(AT_ONCE) / 8
        };
        while left > 0 {
            let read = timeout(freshness, stream.read(&mut buffer)).await??;
            if read == 0 {
                return Ok(());
            }
            left = left.saturating_sub(read);
        }
        let pause = match dice.u8(0..2) {
            0 => freshness * 3,
            _ => freshness * dice.u32(62..95) / 100,
        };
        sleep(pause).await;
    }
}
