//! A network between one client and a server, which a test can break.
//!
//! One relay per container cuts that container off the database, while the others keep theirs.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{oneshot, watch};
use tokio::task::{JoinHandle, JoinSet};

/// Connections at once; more wait in the kernel.
const LIMIT: usize = 512;

/// A TCP relay on 127.0.0.1. It ends with the drop.
#[derive(Debug)]
pub struct Relay {
    address: SocketAddr,
    server: watch::Sender<SocketAddr>,
    held: watch::Sender<bool>,
    accepted: Arc<AtomicUsize>,
    listening: Mutex<Option<Listening>>,
}

/// The task that accepts. It ends, with all its connections, when `stop` is used or dropped.
#[derive(Debug)]
struct Listening {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Relay {
    /// A relay to `port` of 127.0.0.1, open.
    pub async fn to(port: u16) -> Self {
        // The kernel's choice would be from the range of outgoing connections, one of which could
        // have it when we want it back.
        let address = (Ipv4Addr::LOCALHOST, super::free_port()).into();
        let relay = Self {
            address,
            server: watch::Sender::new((Ipv4Addr::LOCALHOST, port).into()),
            held: watch::Sender::new(false),
            accepted: Arc::default(),
            listening: Mutex::default(),
        };
        relay.listen().await;
        relay
    }

    /// The port that clients connect to.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// How many connections were ever accepted.
    pub fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }

    /// Leads new connections to another port of 127.0.0.1, as a host name does after a failover.
    /// Those that are open stay where they are.
    pub fn lead_to(&self, port: u16) {
        self.server.send_replace((Ipv4Addr::LOCALHOST, port).into());
    }

    /// Ends all connections and refuses new ones: the server's machine is up, the server is not.
    pub async fn cut(&self) {
        let listening = self.listening.lock().expect("relay").take();
        if let Some(Listening { stop, task }) = listening {
            let _ = stop.send(());
            task.await.expect("relay");
        }
    }

    /// Forwards nothing from now on, but keeps and accepts connections: the network lost every
    /// packet, and nobody will say so.
    pub async fn black_hole(&self) {
        self.held.send_replace(true);
        self.listen().await;
    }

    /// Works again after [`cut`](Self::cut) or [`black_hole`](Self::black_hole). Connections that
    /// were held in the latter go on where they were, as TCP does.
    pub async fn restore(&self) {
        self.listen().await;
        self.held.send_replace(false);
    }

    async fn listen(&self) {
        if self.listening.lock().expect("relay").is_some() {
            return;
        }
        let listener = TcpListener::bind(self.address).await.expect("bind");
        let (stop, stopped) = oneshot::channel();
        let (server, held) = (self.server.subscribe(), self.held.subscribe());
        let accepted = Arc::clone(&self.accepted);
        let task = tokio::spawn(accept(listener, server, held, accepted, stopped));
        *self.listening.lock().expect("relay") = Some(Listening { stop, task });
    }
}

async fn accept(
    listener: TcpListener,
    server: watch::Receiver<SocketAddr>,
    held: watch::Receiver<bool>,
    accepted: Arc<AtomicUsize>,
    mut stopped: oneshot::Receiver<()>,
) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            _ = &mut stopped => break,
            Some(_) = connections.join_next() => {}
            Ok((client, _)) = listener.accept(), if connections.len() < LIMIT => {
                accepted.fetch_add(1, Ordering::SeqCst);
                let server = *server.borrow();
                connections.spawn(carry(client, server, held.clone()));
            }
        }
    }
    drop(listener);
    connections.shutdown().await;
}

async fn carry(client: TcpStream, server: SocketAddr, mut held: watch::Receiver<bool>) {
    if open(&mut held).await.is_none() {
        return;
    }
    let Ok(server) = TcpStream::connect(server).await else {
        return;
    };
    // Latencies through a relay are measured, too.
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    tokio::join!(
        pump(from_client, to_server, held.clone()),
        pump(from_server, to_client, held)
    );
}

/// Carries bytes one way. What was read while the relay is held is kept, not lost.
async fn pump(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut held: watch::Receiver<bool>) {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let read = from.read(&mut buffer).await.unwrap_or(0);
        if open(&mut held).await.is_none() {
            return;
        }
        if read == 0 || to.write_all(&buffer[..read]).await.is_err() {
            let _ = to.shutdown().await;
            return;
        }
    }
}

/// Waits until the relay is not held; `None` if it is gone.
async fn open(held: &mut watch::Receiver<bool>) -> Option<()> {
    held.wait_for(|held| !held).await.ok().map(|_| ())
}
