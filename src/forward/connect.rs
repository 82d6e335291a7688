//! A new connection to an owner.

use std::{
    io,
    net::{IpAddr, SocketAddr, ToSocketAddrs as _},
    sync::Arc,
    time::Duration,
};

use futures_util::FutureExt as _;
use hyper::{
    client::conn::{http1, http2},
    rt::Executor as _,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use socket2::{SockRef, TcpKeepalive};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    sync::Semaphore,
    task::spawn_blocking,
    time::{Instant, timeout},
};

use super::{
    Forward,
    connection::{Connection, Sender, Tasks},
    failure::Failure,
    target::{Host, Target},
    tunnel,
};
use crate::keep_reading::KeepReading;

/// Addresses of one name that are tried.
const MAX_ADDRESSES: usize = 8;

/// Names that are resolved at a time; tokio has 512 threads for all that blocks.
const MAX_LOOKUPS: usize = 64;

/// Fields of a response. The default of hyper is 100, which applications exceed.
const MAX_FIELDS: usize = 1_024;

/// Bytes of a response's head over HTTP/2: what hyper allows over HTTP/1.1. Its default is 16 KiB.
const MAX_HEAD_BYTES: u32 = 400 * 1024;

/// How long a silent owner is trusted to be there, and how often it is asked then.
const PING_INTERVAL: Duration = Duration::from_secs(15);

/// Questions without an answer after which the owner's host is lost.
const PINGS: u32 = 3;

/// Makes connections.
#[derive(Debug)]
pub(super) struct Connector {
    settings: Forward,
    lookups: Arc<Semaphore>,
}

impl Connector {
    pub(super) fn new(settings: Forward) -> Self {
        let lookups = Arc::new(Semaphore::new(MAX_LOOKUPS));
        Self { settings, lookups }
    }

    /// A connection of the target's version of HTTP.
    pub(super) async fn connect(&self, target: &Target) -> Result<Connection, Failure> {
        let limit = self.settings.connect_timeout;
        // Boxed, since it is large, and most requests find a connection.
        let made = Box::pin(async {
            let stream = self.dial(target).await?;
            #[cfg(feature = "tls")]
            if target.tls {
                return over(self.encrypted(target, stream).await?, target).await;
            }
            over(stream, target).await
        });
        timeout(limit, made).await.unwrap_or_else(|_| {
            Err(if target.tunnels {
                Failure::NoTunnelWithin(limit)
            } else {
                Failure::NotConnectedWithin(limit)
            })
        })
    }

    async fn dial(&self, target: &Target) -> Result<KeepReading, Failure> {
        let (began, limit) = (Instant::now(), self.settings.connect_timeout);
        let addresses = self.resolve(target).await?;
        let mut failure = Failure::Forbidden;
        for (at, address) in addresses.iter().enumerate() {
            // One that does not answer leaves time for the next.
            let left = limit.saturating_sub(began.elapsed());
            let share = left / u32::try_from(addresses.len() - at).unwrap_or(1);
            match timeout(share, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => {
                    configure(&stream);
                    return Ok(KeepReading::new(stream));
                }
                Ok(Err(error)) => failure = Failure::NotConnected(error),
                Err(_) => failure = Failure::NotConnectedWithin(limit),
            }
        }
        Err(failure)
    }

    /// The addresses that may be connected to. What is checked is what is connected to: a name that is
    /// resolved again later could lead somewhere else.
    async fn resolve(&self, target: &Target) -> Result<Vec<SocketAddr>, Failure> {
        let port = target.port;
        let may = |ip: IpAddr, by_name| self.settings.allowed.has_address(ip, port, by_name);
        let name = match &target.host {
            Host::Address(ip) if may(*ip, false) => return Ok(vec![SocketAddr::new(*ip, port)]),
            Host::Address(_) => return Err(Failure::Forbidden),
            Host::Name(name) => name,
        };
        let name = name.to_string();
        let found = bounded(&self.lookups, move || (name, port).to_socket_addrs()).await;
        let mut found = found.map_err(Failure::NoSuchName)?.peekable();
        if found.peek().is_none() {
            return Err(Failure::NoSuchName(io::ErrorKind::NotFound.into()));
        }
        let allowed = found.filter(|address| may(address.ip(), true));
        let allowed: Vec<_> = allowed.take(MAX_ADDRESSES).collect();
        if allowed.is_empty() {
            return Err(Failure::Forbidden);
        }
        Ok(allowed)
    }

    #[cfg(feature = "tls")]
    async fn encrypted(
        &self,
        target: &Target,
        stream: KeepReading,
    ) -> Result<tokio_rustls::client::TlsStream<KeepReading>, Failure> {
        let Some(tls) = &self.settings.tls else {
            return Err(Failure::Forbidden);
        };
        tls.handshake(target, stream).await.map_err(Failure::Tls)
    }
}

/// Runs `lookup` on a thread, which holds a permit until it returns.
///
/// The resolver of the system cannot be cancelled, and outlasts requests that wait no longer: without a
/// bound, a name server that does not answer takes all threads of the runtime.
async fn bounded<T: Send + 'static>(
    permits: &Arc<Semaphore>,
    lookup: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let permit = Arc::clone(permits).acquire_owned().await;
    let permit = permit.map_err(io::Error::other)?;
    let looked_up = spawn_blocking(move || {
        let found = lookup();
        drop(permit);
        found
    });
    looked_up.await?
}

/// Sets the options of a socket; one that does not have them works.
///
/// `TCP_USER_TIMEOUT` was rejected: it also ends connections to owners that are there and read nothing for
/// that long. A host that is lost while bytes are on their way to it is noticed by the system's
/// retransmissions.
fn configure(stream: &TcpStream) {
    // Events of a stream should not wait for Nagle.
    let _ = stream.set_nodelay(true);
    let keepalive = TcpKeepalive::new().with_time(PING_INTERVAL);
    #[cfg(any(
        target_os = "linux",
        target_os = "android",
        target_os = "freebsd",
        target_os = "macos",
        target_os = "windows"
    ))]
    let keepalive = keepalive.with_interval(PING_INTERVAL).with_retries(PINGS);
    let _ = SockRef::from(stream).set_tcp_keepalive(&keepalive);
}

async fn over<S>(stream: S, target: &Target) -> Result<Connection, Failure>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (stream, tasks) = (TokioIo::new(stream), Tasks::default());
    // The error of a connection is its request's, too.
    let sender = if target.http2 {
        let made = http2::Builder::new(tasks.clone())
            .timer(TokioTimer::new())
            .keep_alive_interval(PING_INTERVAL)
            .max_header_list_size(MAX_HEAD_BYTES)
            .handshake(stream)
            .await;
        let (sender, mut connection) = made.map_err(Failure::Broken)?;
        if target.tunnels {
            tunnel::is_taken(&mut connection).await;
        }
        tasks.execute(connection.map(drop));
        Sender::Http2(sender)
    } else {
        let mut builder = http1::Builder::new();
        let made = builder.max_headers(MAX_FIELDS).handshake(stream).await;
        let (sender, connection) = made.map_err(Failure::Broken)?;
        tasks.execute(connection.with_upgrades().map(drop));
        Sender::Http1(sender)
    };
    Ok(Connection::new(sender, tasks))
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use tokio::net::TcpListener;

    use super::*;
    use crate::Address;

    async fn dialled(limit: Duration) -> Result<KeepReading, Failure> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = format!("http://{}", listener.local_addr().unwrap());
        let at: Address = at.parse().unwrap();
        let settings = Forward::to_owner_address(["127.0.0.1"]).unwrap();
        let connector = Connector::new(settings.connect_timeout(limit));
        connector.dial(&Target::new(&at, false)).await
    }

    #[tokio::test]
    async fn a_lost_host_is_noticed_by_keepalives() {
        let stream = dialled(Duration::from_secs(2)).await.unwrap();
        let socket = SockRef::from(stream.get_ref());
        assert!(socket.keepalive().unwrap());
        assert_eq!(socket.tcp_keepalive_time().unwrap(), PING_INTERVAL);
        assert_eq!(socket.tcp_keepalive_interval().unwrap(), PING_INTERVAL);
        assert_eq!(socket.tcp_keepalive_retries().unwrap(), PINGS);
    }

    #[tokio::test]
    async fn the_longest_connect_timeout_is_one() {
        dialled(Duration::MAX).await.unwrap();
    }

    #[tokio::test]
    async fn a_lookup_that_is_given_up_counts_until_it_ends() {
        let permits = Arc::new(Semaphore::new(1));
        let (end, ended) = mpsc::channel();
        let hanging = bounded(&permits, move || ended.recv().map_err(io::Error::other));
        let soon = Duration::from_millis(50);
        assert!(timeout(soon, hanging).await.is_err());
        assert!(timeout(soon, bounded(&permits, || Ok(()))).await.is_err());
        end.send(()).unwrap();
        bounded(&permits, || Ok(())).await.unwrap();
    }
}
