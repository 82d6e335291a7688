//! The HTTP client of probes and of the doctor: one GET over one fresh connection, redirects on
//! request.
//!
//! A pooled connection would not show whether the address can be reached now. `reqwest` was
//! rejected: its features are unified over the whole process, and without a TLS provider of its
//! choice each of its clients panics.

use std::{error::Error, time::Duration};

use bytes::Bytes;
use futures_util::FutureExt as _;
use http::{
    HeaderMap, HeaderValue, Request, Response, StatusCode, Uri, Version, header, response::Parts,
};
use http_body_util::{BodyExt as _, Empty};
use hyper::{
    body::Incoming,
    client::conn::{http1, http2},
};
use hyper_util::{
    client::legacy::connect::HttpConnector,
    rt::{TokioExecutor, TokioIo},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    task::JoinSet,
    time::{Instant, timeout, timeout_at},
};
use tower_service::Service as _;

use crate::{Address, observe::Chain};

pub(crate) mod of_session;

/// Bytes of a body that are read: enough for a problem document and a machine's configuration.
const MAX_BODY: usize = 1 << 20;

/// Redirects that are followed: to the owner it takes one.
const MAX_REDIRECTS: usize = 4;

const USER_AGENT: HeaderValue =
    HeaderValue::from_static(concat!("tower-ownership/", env!("CARGO_PKG_VERSION")));

/// How connections are made.
#[derive(Clone, Debug, Default)]
pub(crate) struct HttpClient {
    /// Speaks HTTP/2 without TLS. With TLS, the server chooses.
    pub(crate) http2: bool,
    /// The trusted authorities; the system's if there are none.
    #[cfg(feature = "tls")]
    pub(crate) roots: Option<std::sync::Arc<rustls::RootCertStore>>,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    /// The beginning of the body, as far as it arrived in time.
    pub(crate) body: Vec<u8>,
    /// Time until the head arrived.
    #[cfg_attr(
        not(feature = "doctor"),
        expect(dead_code, reason = "only the doctor reports it")
    )]
    pub(crate) took: Duration,
    /// The address that this answer redirects to, where no more redirects are followed.
    pub(crate) redirect: Option<Address>,
}

/// Why there is no answer: an error and its causes, in one line.
#[derive(Debug)]
pub(crate) struct NoAnswer(pub(crate) String);

impl<E: Error + 'static> From<E> for NoAnswer {
    fn from(error: E) -> Self {
        Self(Chain(&error).to_string())
    }
}

impl HttpClient {
    /// Gets `url`, and follows redirects that keep the request; `redirects` records their targets.
    pub(crate) async fn follow(
        &self,
        url: &Uri,
        headers: &HeaderMap,
        limit: Duration,
        redirects: &mut Vec<Address>,
    ) -> Result<Answer, NoAnswer> {
        let began = Instant::now();
        let mut next = url.clone();
        loop {
            let left = limit.saturating_sub(began.elapsed());
            let answer = self.get(&next, headers.clone(), left).await?;
            match answer.redirect {
                Some(address) if redirects.len() < MAX_REDIRECTS => {
                    next = address.as_uri().clone();
                    redirects.push(address);
                }
                _ => return Ok(answer),
            }
        }
    }

    /// Gets `url`, and follows no redirect.
    pub(crate) async fn get(
        &self,
        url: &Uri,
        headers: HeaderMap,
        limit: Duration,
    ) -> Result<Answer, NoAnswer> {
        let began = Instant::now();
        // Ends with this function, and with it the connection.
        let mut connection = JoinSet::new();
        // Boxed, since connections are large, and only few are ever made.
        let sent = Box::pin(self.send(url, headers, &mut connection));
        let response = timeout(limit, sent).await;
        let response = response.unwrap_or_else(|_| {
            Err(NoAnswer(format!(
                "no answer within {} s",
                limit.as_secs_f64().round()
            )))
        })?;
        let took = began.elapsed();
        let (head, mut stream) = response.into_parts();
        let mut body = Vec::new();
        while let Ok(Some(Ok(frame))) = timeout_at(began + limit, stream.frame()).await {
            body.extend_from_slice(frame.data_ref().map_or(&[], |data| data));
            if body.len() >= MAX_BODY {
                body.truncate(MAX_BODY);
                break;
            }
        }
        Ok(Answer {
            redirect: redirect(url, &head),
            status: head.status,
            headers: head.headers,
            body,
            took,
        })
    }

    async fn send(
        &self,
        url: &Uri,
        headers: HeaderMap,
        connection: &mut JoinSet<()>,
    ) -> Result<Response<Incoming>, NoAnswer> {
        let mut connector = HttpConnector::new();
        connector.enforce_http(false);
        connector.set_nodelay(true);
        let stream = connector.call(url.clone()).await?;
        if url.scheme_str() != Some("https") {
            let request = request(url, self.http2, headers)?;
            return exchange(stream, request, connection).await;
        }
        #[cfg(feature = "tls")]
        {
            let (stream, http2) = self.handshake(url, stream.into_inner()).await?;
            let request = request(url, http2, headers)?;
            exchange(TokioIo::new(stream), request, connection).await
        }
        // Only a redirect leads here: the URL itself was checked before.
        #[cfg(not(feature = "tls"))]
        Err(NoAnswer("https needs the feature `tls`".to_owned()))
    }

    /// The encrypted stream, and whether the server chose HTTP/2.
    #[cfg(feature = "tls")]
    async fn handshake(
        &self,
        url: &Uri,
        stream: tokio::net::TcpStream,
    ) -> Result<(tokio_rustls::client::TlsStream<tokio::net::TcpStream>, bool), NoAnswer> {
        let roots = match &self.roots {
            Some(roots) => rustls::RootCertStore::clone(roots),
            None => crate::tls::roots_of_the_system()
                .map_err(|error| NoAnswer(format!("no root certificate: {error}")))?,
        };
        let mut config = crate::tls::client_config(roots)?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let host = url.host().unwrap_or_default().trim_matches(['[', ']']);
        let name = rustls::pki_types::ServerName::try_from(host.to_owned())?;
        let connector = tokio_rustls::TlsConnector::from(std::sync::Arc::new(config));
        let stream = connector.connect(name, stream).await?;
        let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        Ok((stream, http2))
    }
}

fn request(url: &Uri, http2: bool, headers: HeaderMap) -> Result<Request<Empty<Bytes>>, NoAnswer> {
    let mut request = Request::new(Empty::new());
    *request.headers_mut() = headers;
    let headers = request.headers_mut();
    headers.entry(header::USER_AGENT).or_insert(USER_AGENT);
    if http2 {
        *request.version_mut() = Version::HTTP_2;
        *request.uri_mut() = url.clone();
        return Ok(request);
    }
    let host = url.authority().map_or("", |authority| authority.as_str());
    headers.insert(header::HOST, HeaderValue::try_from(host)?);
    let path = url.path_and_query().map_or("/", |path| path.as_str());
    *request.uri_mut() = path.parse()?;
    Ok(request)
}

async fn exchange<S>(
    io: TokioIo<S>,
    request: Request<Empty<Bytes>>,
    connection: &mut JoinSet<()>,
) -> Result<Response<Incoming>, NoAnswer>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    // The error of a connection is the error of its request, too.
    let response = if request.version() == Version::HTTP_2 {
        let (mut sender, driver) = http2::handshake(TokioExecutor::new(), io).await?;
        connection.spawn(driver.map(drop));
        sender.send_request(request).await?
    } else {
        let (mut sender, driver) = http1::handshake(io).await?;
        connection.spawn(driver.map(drop));
        sender.send_request(request).await?
    };
    Ok(response)
}

/// Where an answer sends its client with the same request. With any other redirect the application
/// may mean something else, such as a login.
fn redirect(from: &Uri, head: &Parts) -> Option<Address> {
    let same_request = [
        StatusCode::TEMPORARY_REDIRECT,
        StatusCode::PERMANENT_REDIRECT,
    ];
    if !same_request.contains(&head.status) {
        return None;
    }
    let location = head.headers.get(header::LOCATION)?.to_str().ok()?;
    let (location, _) = location.split_once('#').unwrap_or((location, ""));
    let absolute = if location.starts_with('/') && !location.starts_with("//") {
        format!("{}://{}{location}", from.scheme_str()?, from.authority()?)
    } else {
        location.to_owned()
    };
    Address::parse(&absolute).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn led_to(status: u16, location: &'static str) -> Option<String> {
        let from = Uri::from_static("http://app.example.com:8080/session/1?a=b");
        let answer = Response::builder()
            .status(status)
            .header(header::LOCATION, location)
            .body(())
            .unwrap();
        let next = redirect(&from, &answer.into_parts().0);
        next.map(|next| next.to_string())
    }

    #[test]
    fn a_redirect_that_keeps_the_request_is_followed() {
        for (status, location, next) in [
            (
                307,
                "https://m1.example.com/session/1?a=b#top",
                "https://m1.example.com/session/1?a=b",
            ),
            (308, "http://m1.example.com/", "http://m1.example.com/"),
            (308, "/session/1/", "http://app.example.com:8080/session/1/"),
        ] {
            assert_eq!(led_to(status, location).as_deref(), Some(next));
        }
    }

    #[test]
    fn any_other_redirect_is_the_answer() {
        for (status, location) in [
            (200, "https://m1.example.com/"),
            (302, "https://login.example.com/"),
            (307, "//m1.example.com/"),
            (307, "elsewhere"),
            (307, "ftp://m1.example.com/"),
            (307, "https://user:word@m1.example.com/"),
            (307, ""),
        ] {
            assert_eq!(led_to(status, location), None, "{status} {location}");
        }
    }
}
