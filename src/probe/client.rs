//! One request over one fresh connection: what a probe learns must not depend on an old one.

use std::{io, pin::pin};

use bytes::Bytes;
use futures_util::future::{Either, select};
use http::{HeaderMap, HeaderValue, Request, StatusCode, Uri, Version, header};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};

use crate::Address;

#[cfg(feature = "tls")]
use super::tls::Tls;

/// The most that is read of a body: a problem document, and not the application's page.
const BODY: usize = 64 * 1024;

/// How connections are made.
#[derive(Clone, Debug, Default)]
pub(super) struct Client {
    /// Without TLS; with it, the server chooses.
    pub(super) http2: bool,
    #[cfg(feature = "tls")]
    pub(super) tls: Option<Tls>,
}

/// What came back.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Client {
    pub(super) async fn get(&self, address: &Address, headers: HeaderMap) -> io::Result<Answer> {
        let uri = address.as_uri();
        let host = address.host().trim_matches(['[', ']']);
        if address.scheme() == "https" {
            return self.get_encrypted(address, host, headers).await;
        }
        let stream = connect(host, uri.port_u16().unwrap_or(80)).await?;
        exchange(stream, self.http2, uri, headers).await
    }

    #[cfg(feature = "tls")]
    async fn get_encrypted(
        &self,
        address: &Address,
        host: &str,
        headers: HeaderMap,
    ) -> io::Result<Answer> {
        let uri = address.as_uri();
        let tls = match &self.tls {
            Some(tls) => tls.clone(),
            None => Tls::of_this_system()?,
        };
        let stream = connect(host, uri.port_u16().unwrap_or(443)).await?;
        let (stream, http2) = tls.handshake(host, stream).await?;
        exchange(stream, http2, uri, headers).await
    }

    #[cfg(not(feature = "tls"))]
    #[allow(clippy::unused_async, reason = "with TLS it waits")]
    async fn get_encrypted(&self, _: &Address, _: &str, _: HeaderMap) -> io::Result<Answer> {
        // Only a redirect leads here: the address itself was looked at before.
        Err(io::Error::other("https needs the feature `tls`"))
    }
}

async fn connect(host: &str, port: u16) -> io::Result<TcpStream> {
    let stream = TcpStream::connect((host, port)).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

async fn exchange<S>(stream: S, http2: bool, uri: &Uri, headers: HeaderMap) -> io::Result<Answer>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let io = TokioIo::new(stream);
    let request = request(uri, http2, headers)?;
    if http2 {
        let handshake = http2::handshake(TokioExecutor::new(), io).await;
        let (mut sender, connection) = handshake.map_err(io::Error::other)?;
        driven(connection, async move {
            read(sender.send_request(request).await).await
        })
        .await
    } else {
        let handshake = http1::handshake(io).await;
        let (mut sender, connection) = handshake.map_err(io::Error::other)?;
        driven(connection, async move {
            read(sender.send_request(request).await).await
        })
        .await
    }
}

fn request(uri: &Uri, http2: bool, headers: HeaderMap) -> io::Result<Request<Empty<Bytes>>> {
    let mut request = Request::new(Empty::new());
    *request.headers_mut() = headers;
    if http2 {
        *request.version_mut() = Version::HTTP_2;
        *request.uri_mut() = uri.clone();
        return Ok(request);
    }
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    *request.uri_mut() = path.parse().map_err(io::Error::other)?;
    let host = uri.authority().map_or("", |authority| authority.as_str());
    let host = HeaderValue::try_from(host).map_err(io::Error::other)?;
    request.headers_mut().insert(header::HOST, host);
    Ok(request)
}

/// Runs the exchange and the connection that it stands on, and nothing outlives it.
async fn driven<T>(
    connection: impl Future<Output = hyper::Result<()>>,
    exchange: impl Future<Output = T>,
) -> T {
    match select(pin!(exchange), pin!(connection)).await {
        Either::Left((answer, _)) => answer,
        // The exchange knows how it ended.
        Either::Right((_, exchange)) => exchange.await,
    }
}

async fn read(
    response: hyper::Result<http::Response<hyper::body::Incoming>>,
) -> io::Result<Answer> {
    let (head, body) = response.map_err(io::Error::other)?.into_parts();
    // A body that breaks off, or is the application's, is not needed.
    let body = Limited::new(body, BODY).collect().await;
    let body = body.map(http_body_util::Collected::to_bytes);
    Ok(Answer {
        status: head.status,
        headers: head.headers,
        body: body.unwrap_or_default(),
    })
}
