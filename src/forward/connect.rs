//! A new connection to an owner.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, lookup_host},
    time::{Instant, timeout, timeout_at},
};

use super::{
    allow::Allowed,
    failure::Failure,
    pool::{Connection, Driver},
    target::{Host, Target},
    upload::Upload,
};
use crate::keep_reading::KeepReading;

/// Addresses of one name that are tried.
const MAX_ADDRESSES: usize = 8;

/// How often a connection of HTTP/2 with open streams asks whether its peer is there.
const PING_INTERVAL: Duration = Duration::from_secs(15);

/// Makes connections.
#[derive(Clone, Debug)]
pub(super) struct Connector {
    pub(super) allowed: Allowed,
    pub(super) timeout: Duration,
    #[cfg(feature = "tls")]
    pub(super) tls: Option<super::tls::Tls>,
}

impl Connector {
    /// A connection of HTTP/1.1.
    pub(super) async fn http1(&self, target: &Target) -> Result<Connection, Failure> {
        // Boxed, since it is large, and most requests find a connection.
        self.in_time(Box::pin(async {
            let stream = self.dial(target).await?;
            #[cfg(feature = "tls")]
            if target.tls {
                return http1_over(self.encrypted(target, stream).await?).await;
            }
            http1_over(stream).await
        }))
        .await
    }

    /// A connection of HTTP/2.
    pub(super) async fn http2(
        &self,
        target: &Target,
    ) -> Result<http2::SendRequest<Upload>, Failure> {
        self.in_time(Box::pin(async {
            let stream = self.dial(target).await?;
            #[cfg(feature = "tls")]
            if target.tls {
                return http2_over(self.encrypted(target, stream).await?).await;
            }
            http2_over(stream).await
        }))
        .await
    }

    async fn in_time<T>(
        &self,
        connect: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let late = |_| Err(Failure::NotConnectedWithin(self.timeout));
        timeout(self.timeout, connect).await.unwrap_or_else(late)
    }

    async fn dial(&self, target: &Target) -> Result<KeepReading, Failure> {
        let addresses = self.resolve(target).await?;
        let deadline = Instant::now() + self.timeout;
        let mut failure = Failure::Forbidden;
        for (at, address) in addresses.iter().enumerate() {
            // One that does not answer leaves time for the next.
            let left = deadline.saturating_duration_since(Instant::now());
            let share = left / u32::try_from(addresses.len() - at).unwrap_or(1);
            let end = Instant::now() + share;
            match timeout_at(end, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => {
                    // Events of a stream should not wait for Nagle; a socket without the option works.
                    let _ = stream.set_nodelay(true);
                    return Ok(KeepReading::new(stream));
                }
                Ok(Err(error)) => failure = Failure::NotConnected(error),
                Err(_) => failure = Failure::NotConnectedWithin(self.timeout),
            }
        }
        Err(failure)
    }

    /// The addresses that may be connected to. What is checked is what is connected to: a name that is
    /// resolved again later could lead somewhere else.
    async fn resolve(&self, target: &Target) -> Result<Vec<SocketAddr>, Failure> {
        let port = target.port;
        let may = |ip: IpAddr, by_name| self.allowed.has_address(ip, port, by_name);
        let name = match &target.host {
            Host::Address(ip) if may(*ip, false) => return Ok(vec![SocketAddr::new(*ip, port)]),
            Host::Address(_) => return Err(Failure::Forbidden),
            Host::Name(name) => name,
        };
        let found = lookup_host((&**name, port)).await;
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
        let Some(tls) = &self.tls else {
            return Err(Failure::Forbidden);
        };
        tls.handshake(target, stream).await.map_err(Failure::Tls)
    }
}

async fn http1_over<S>(stream: S) -> Result<Connection, Failure>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let made = http1::handshake(TokioIo::new(stream)).await;
    let (sender, connection) = made.map_err(Failure::Broken)?;
    let driver = tokio::spawn(async move {
        // Its error is the request's, too.
        let _ = connection.with_upgrades().await;
    });
    Ok(Connection {
        sender,
        _driver: Driver(driver),
    })
}

async fn http2_over<S>(stream: S) -> Result<http2::SendRequest<Upload>, Failure>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let made = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .keep_alive_interval(PING_INTERVAL)
        .handshake(TokioIo::new(stream))
        .await;
    let (sender, connection) = made.map_err(Failure::Broken)?;
    // It ends when all its streams and senders have.
    tokio::spawn(connection);
    Ok(sender)
}
