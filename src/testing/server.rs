//! The edge's own side of the wire: connections in, journeys out.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::uri::{Authority, PathAndQuery};
use http::{Method, Request, Response, StatusCode, Version, header};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};

use super::answer::{EdgeBody, Upload};
use super::event::{EdgeErrorKind, EdgeEvent};
use super::headers;
use super::journey::{Journey, Refusal};
use super::log::EdgeRecord;
use super::shared::Shared;
use super::tape::Tape;

/// How long a client may take for a request's head, the first one included.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// After a failed accept (out of file descriptors, mostly) it is no use to try again at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

pub(super) async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let most = shared.settings.max_connections;
    let places = Arc::new(Semaphore::new(most.clamp(1, Semaphore::MAX_PERMITS)));
    while let Ok(permit) = Arc::clone(&places).acquire_owned().await {
        match listener.accept().await {
            Ok((stream, client)) => {
                let connection = connection(stream, client, Arc::clone(&shared), permit);
                shared.tasks.spawn(connection).detach();
            }
            Err(_) => sleep(ACCEPT_PAUSE).await,
        }
    }
}

async fn connection(
    stream: TcpStream,
    client: SocketAddr,
    shared: Arc<Shared>,
    permit: OwnedSemaphorePermit,
) {
    let _ = stream.set_nodelay(true);
    if timeout(HEAD_TIMEOUT, stream.readable()).await.is_err() {
        return;
    }
    let permit = Arc::new(permit);
    let mut server = auto::Builder::new(shared.tasks.clone());
    server
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT);
    server.http2().timer(TokioTimer::new());
    let service = service_fn(move |request| {
        let (shared, permit) = (Arc::clone(&shared), Arc::clone(&permit));
        async move { Ok::<_, Infallible>(serve(shared, permit, client, request).await) }
    });
    // What breaks a connection concerns its client only, who knows.
    let _ = server
        .serve_connection_with_upgrades(TokioIo::new(stream), service)
        .await;
}

async fn serve(
    shared: Arc<Shared>,
    permit: Arc<OwnedSemaphorePermit>,
    client: SocketAddr,
    request: Request<Incoming>,
) -> Response<EdgeBody> {
    let id = shared.ids.next(&shared.settings.region);
    let version = request.version();
    let result = if *request.method() == Method::CONNECT {
        Err(Refusal {
            status: StatusCode::METHOD_NOT_ALLOWED,
            kind: EdgeErrorKind::CannotSend,
            detail: "CONNECT".into(),
        })
    } else {
        let journey = begin(Arc::clone(&shared), id.clone(), permit, client, request);
        journey.run().await
    };
    result.unwrap_or_else(|refusal| {
        let mut response = Response::new(EdgeBody::empty());
        *response.status_mut() = refusal.status;
        headers::clean_response(response.headers_mut(), refusal.status, version);
        headers::set(response.headers_mut(), headers::REQUEST_ID, &id);
        shared.log.add(EdgeRecord::Event(EdgeEvent {
            request_id: id,
            kind: refusal.kind,
            detail: refusal.detail,
        }));
        response
    })
}

fn begin(
    shared: Arc<Shared>,
    id: String,
    permit: Arc<OwnedSemaphorePermit>,
    client: SocketAddr,
    mut request: Request<Incoming>,
) -> Journey {
    let upgrade = headers::asks_for_upgrade(request.version(), request.headers())
        .then(|| hyper::upgrade::on(&mut request));
    let (mut head, incoming) = request.into_parts();
    let settings = &shared.settings;
    headers::clean_request(
        &mut head.headers,
        upgrade.is_some(),
        settings.pass_forged_headers,
    );
    headers::add_facts(
        &mut head.headers,
        client,
        shared.addr,
        &settings.region,
        head.version,
    );
    // One place for the host, whichever way the client named it.
    if let Some(authority) = head.uri.authority() {
        headers::set(&mut head.headers, header::HOST, authority.as_str());
    }
    let host = headers::text(&head.headers, "host").and_then(|host| host.parse().ok());
    let host = host.map(|host: Authority| host.host().to_ascii_lowercase());
    let tape = Tape::new(incoming, settings.body_limit);
    let linger = (head.version != Version::HTTP_2).then_some(settings.linger);
    Journey {
        id,
        method: head.method,
        host: host.unwrap_or_default(),
        path: (head.uri.path_and_query().cloned())
            .unwrap_or_else(|| PathAndQuery::from_static("/")),
        headers: head.headers,
        upload: Upload::new(tape, shared.tasks.clone(), linger),
        upgrade,
        permit,
        replays: 0,
        fell_back: false,
        cache_bypassed: false,
        shared,
    }
}

impl Journey {
    /// Notes an error that did not end the request.
    pub(super) fn event(&self, kind: EdgeErrorKind, detail: String) {
        self.shared.log.add(EdgeRecord::Event(EdgeEvent {
            request_id: self.id.clone(),
            kind,
            detail,
        }));
    }
}
