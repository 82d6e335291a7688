//! Carries one request to its owner, and the answer back.

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{
    HeaderValue, Method, Request, Response, Uri, Version, header,
    request::Parts,
    uri::{Authority, PathAndQuery},
};
use hyper::{body::Incoming, upgrade::OnUpgrade};
use tokio::{runtime::Handle, time::timeout};
use tracing::Span;

use super::{
    Forward,
    body::{Carried, Download, Over},
    connect::Connector,
    failure::Failure,
    fields,
    pool::{Connection, Limits, Pool, Ticket},
    target::Target,
    upload::{Progress, Upload},
};
use crate::{
    Handover, Head, MachineId, NotReplayable, RenderContext, Replay, RequestOrigin, SessionId,
    hop_by_hop, replay::is_upgrade, tunnel,
};

/// What a layer carries requests with.
pub(crate) struct Carrier {
    settings: Forward,
    /// What is tried first, if anything is.
    first: Option<Box<dyn Replay>>,
    connector: Connector,
    pool: Arc<Pool>,
}

/// In the extensions of a request that is to be carried, between the layer and its forwarder.
#[derive(Debug)]
pub(crate) struct ForwardTo {
    target: Target,
    forwarded: HeaderValue,
    /// What is known of the request, should it have to be refused.
    pub(crate) session: SessionId,
    pub(crate) owner: MachineId,
    pub(crate) context: RenderContext,
    pub(crate) span: Option<Span>,
}

/// A request that did not get a response.
pub(super) enum Unanswered {
    /// No byte of it can have arrived.
    NotSent(Box<Request<Upload>>, Failure),
    Failed(Failure),
}

impl ForwardTo {
    /// The same, in this span.
    pub(crate) fn within(self, span: Option<Span>) -> Self {
        Self { span, ..self }
    }
}

impl Carrier {
    pub(crate) fn new(settings: Forward, first: Option<Box<dyn Replay>>) -> Arc<Self> {
        let connector = Connector::new(settings.clone());
        let pool = Pool::new(Limits {
            carried: settings.max_requests,
            idle: settings.max_idle,
            idle_timeout: settings.idle_timeout,
        });
        Arc::new(Self {
            settings,
            first,
            connector,
            pool,
        })
    }

    /// Whether the replay that is tried first takes this request.
    pub(crate) fn is_replayed(&self, head: &Head<'_>, handover: &Handover<'_>) -> bool {
        let first = self.first.as_ref();
        first.is_some_and(|first| first.preview(head, handover).is_ok())
    }

    /// Where the request is to be carried, if it can be.
    pub(crate) fn plan(
        &self,
        head: &Head<'_>,
        handover: &Handover<'_>,
    ) -> Result<ForwardTo, NotReplayable> {
        // A tunnel, or another protocol over HTTP/2 (RFC 8441), which HTTP/1.1 asks for otherwise.
        if *head.method == Method::CONNECT {
            return Err(NotReplayable::Upgrade);
        }
        if fields::comes_from(head.headers, handover.machine) {
            return Err(NotReplayable::Circular);
        }
        let address = self.settings.to.of(handover)?;
        let has_no_path = ["", "/"].contains(&address.as_uri().path());
        #[cfg(feature = "tls")]
        let has_tls = self.settings.has_tls();
        #[cfg(not(feature = "tls"))]
        let has_tls = false;
        if !has_no_path || (address.scheme() == "https" && !has_tls) {
            return Err(NotReplayable::ForbiddenAddress);
        }
        let http2 = !is_upgrade(head) && (self.settings.always_http2 || is_grpc(head));
        let target = Target::new(&address, http2);
        if !self.settings.allowed.allows(&address, &target) {
            return Err(NotReplayable::ForbiddenAddress);
        }
        let hops = handover.origin.hops().saturating_add(1);
        Ok(ForwardTo {
            target,
            forwarded: fields::forwarded(hops, handover.machine)
                .ok_or(NotReplayable::ForbiddenAddress)?,
            session: handover.session.id().clone(),
            owner: handover.owner.clone(),
            context: RenderContext::of(head),
            span: None,
        })
    }

    /// Carries the request to its owner and the answer back. Dropped, it closes the connection.
    pub(super) async fn carry(
        &self,
        to: &ForwardTo,
        mut head: Parts,
        body: Upload,
    ) -> Result<Response<Carried>, Unanswered> {
        let client = head.extensions.remove::<OnUpgrade>();
        let progress = body.progress();
        let request = request(head, body, to, client.is_some());
        if Handle::try_current().is_err() {
            return Err(Unanswered::not_sent(request, Failure::NoRuntime));
        }
        let ticket = match self.pool.admit(&to.target) {
            Ok(ticket) => ticket,
            Err(failure) => return Err(Unanswered::not_sent(request, failure)),
        };
        let progress = progress.as_deref();
        if to.target.http2 {
            self.over_http2(to, ticket, request, progress).await
        } else {
            self.over_http1(to, ticket, request, progress, client).await
        }
    }

    async fn over_http1(
        &self,
        to: &ForwardTo,
        ticket: Ticket,
        mut request: Request<Upload>,
        progress: Option<&Progress>,
        client: Option<OnUpgrade>,
    ) -> Result<Response<Carried>, Unanswered> {
        let mut kept = ticket.idle();
        loop {
            let (mut connection, is_new) = match kept.take() {
                Some(connection) => (connection, false),
                None => match self.connector.http1(&to.target).await {
                    Ok(connection) => (connection, true),
                    Err(failure) => return Err(Unanswered::not_sent(request, failure)),
                },
            };
            let sent = connection.sender.try_send_request(request);
            match self.in_time(sent, progress).await {
                Ok(response) => return switched_or_carried(response, connection, ticket, client),
                // The owner closed the connection while it was idle.
                Err(Unanswered::NotSent(unsent, _)) if !is_new => request = *unsent,
                Err(unanswered) => return Err(unanswered),
            }
        }
    }

    async fn over_http2(
        &self,
        to: &ForwardTo,
        ticket: Ticket,
        mut request: Request<Upload>,
        progress: Option<&Progress>,
    ) -> Result<Response<Carried>, Unanswered> {
        let mut is_new = false;
        loop {
            let mut stream = match self.stream(&ticket, to, is_new).await {
                Ok(stream) => stream,
                Err(failure) => return Err(Unanswered::not_sent(request, failure)),
            };
            let sent = stream.sender.try_send_request(request);
            match self.in_time(sent, progress).await {
                Ok(response) => {
                    let over = Over::Http2 {
                        _stream: stream,
                        _ticket: ticket,
                    };
                    return Ok(carried(response, over));
                }
                Err(Unanswered::NotSent(unsent, _)) if !is_new => {
                    (request, is_new) = (*unsent, true);
                }
                Err(unanswered) => return Err(unanswered),
            }
        }
    }

    async fn stream(
        &self,
        ticket: &Ticket,
        to: &ForwardTo,
        is_new: bool,
    ) -> Result<super::pool::Stream, Failure> {
        let limit = self.settings.connect_timeout;
        let stream = ticket.stream(is_new, self.connector.http2(&to.target));
        // Others may be making the connection, each within the limit, and one after the other.
        let late = |_| Err(Failure::NotConnectedWithin(limit));
        timeout(limit, stream).await.unwrap_or_else(late)
    }

    /// Waits for the head of the answer, for as long as the owner cannot be blamed or has time.
    async fn in_time(
        &self,
        sent: impl Future<Output = Result<Response<Incoming>, TrySend>>,
        progress: Option<&Progress>,
    ) -> Result<Response<Incoming>, Unanswered> {
        let limit = self.settings.response_timeout;
        let mut sent = std::pin::pin!(sent);
        loop {
            match timeout(limit, sent.as_mut()).await {
                Ok(Ok(response)) => return Ok(response),
                Ok(Err(mut error)) => {
                    return Err(match error.take_message() {
                        Some(request) => {
                            Unanswered::not_sent(request, Failure::Broken(error.into_error()))
                        }
                        None => Unanswered::Failed(Failure::Broken(error.into_error())),
                    });
                }
                Err(_) if progress.is_some_and(Progress::excuses_the_owner) => {}
                Err(_) => return Err(Unanswered::Failed(Failure::NoAnswerWithin(limit))),
            }
        }
    }
}

type TrySend = hyper::client::conn::TrySendError<Request<Upload>>;

impl Unanswered {
    fn not_sent(request: Request<Upload>, failure: Failure) -> Self {
        Self::NotSent(Box::new(request), failure)
    }
}

/// The request as the owner gets it.
fn request(mut head: Parts, body: Upload, to: &ForwardTo, may_switch: bool) -> Request<Upload> {
    // What offers only `h2c` is content with an answer in HTTP/1.1.
    let switches = may_switch && !to.target.http2 && is_upgrade(&Head::from(&head));
    let headers = &mut head.headers;
    let protocols = headers.get(header::UPGRADE).filter(|_| switches).cloned();
    let trailers = hop_by_hop::takes_trailers(headers);
    // What `Connection` names is kept: a client could name the field of its session, or one that a proxy
    // in front has added.
    hop_by_hop::remove(headers);
    if trailers {
        headers.insert(header::TE, HeaderValue::from_static("trailers"));
        if !to.target.http2 {
            headers.insert(header::CONNECTION, HeaderValue::from_static("te"));
        }
    }
    if let Some(protocols) = protocols {
        hop_by_hop::upgrade_to(headers, protocols);
    }
    headers.insert(fields::FORWARDED, to.forwarded.clone());
    let host = head.uri.authority().map(Authority::as_str);
    let host = host.and_then(|host| HeaderValue::from_str(host).ok());
    let path = head.uri.path_and_query().cloned();
    let path = path.unwrap_or_else(|| PathAndQuery::from_static("/"));
    let mut uri = http::uri::Parts::default();
    if to.target.http2 {
        let host = host.or_else(|| headers.remove(header::HOST));
        headers.remove(header::HOST);
        uri.authority = host.and_then(|host| host.as_bytes().try_into().ok());
        let scheme = if to.target.tls { "https" } else { "http" };
        uri.scheme = uri
            .authority
            .is_some()
            .then(|| scheme.try_into().ok())
            .flatten();
        head.version = Version::HTTP_2;
    } else {
        // A target in absolute form decides about the host (RFC 9112, section 3.2.2).
        if let Some(host) = host {
            headers.insert(header::HOST, host);
        }
        hop_by_hop::join_cookies(headers);
        head.version = Version::HTTP_11;
    }
    uri.path_and_query = Some(path);
    head.uri = Uri::from_parts(uri).unwrap_or_default();
    let mut request = Request::new(body);
    *request.method_mut() = head.method;
    *request.uri_mut() = head.uri;
    *request.version_mut() = head.version;
    *request.headers_mut() = head.headers;
    request
}

/// Whether the call needs HTTP/2 up to the owner: its status comes in trailers.
fn is_grpc(head: &Head<'_>) -> bool {
    let kind = head.headers.get(header::CONTENT_TYPE);
    head.version == Version::HTTP_2
        && kind.is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"))
}

/// Opens a tunnel if both sides have agreed to switch protocols.
fn switched_or_carried(
    mut response: Response<Incoming>,
    connection: Connection,
    ticket: Ticket,
    client: Option<OnUpgrade>,
) -> Result<Response<Carried>, Unanswered> {
    if response.status() != http::StatusCode::SWITCHING_PROTOCOLS {
        return Ok(carried(response, Over::Http1(connection, ticket)));
    }
    let Some(client) = client else {
        return Err(Unanswered::Failed(Failure::Unasked));
    };
    let owner = hyper::upgrade::on(&mut response);
    // Until both have switched, the connection holds the bytes.
    tokio::spawn(tunnel::join(client, owner, (connection, ticket)));
    Ok(cleaned(response.map(|_| Carried::Ours(Bytes::new()))))
}

fn carried(response: Response<Incoming>, over: Over) -> Response<Carried> {
    cleaned(response.map(|body| Carried::Owners(Download::new(body, over))))
}

fn cleaned(mut response: Response<Carried>) -> Response<Carried> {
    let status = response.status();
    hop_by_hop::clean_response(response.headers_mut(), status);
    // Which version the owner spoke says nothing about the client's.
    *response.version_mut() = Version::default();
    response
}

impl Replay for Carrier {
    fn replay(
        &self,
        head: &Head<'_>,
        handover: &Handover<'_>,
    ) -> Result<Response<Bytes>, NotReplayable> {
        match &self.first {
            Some(first) => first.replay(head, handover),
            None => self.preview(head, handover),
        }
    }

    fn origin(&self, head: &Head<'_>) -> RequestOrigin {
        let first = self.first.as_ref();
        let first = first.map_or(RequestOrigin::Direct, |first| first.origin(head));
        // A machine that carried it counted at least itself.
        let Some(hops) = fields::hops(head.headers).filter(|&hops| hops > 0) else {
            return first;
        };
        let hops = hops.max(first.hops());
        match first {
            // A client can forge hops, and may not hide this by them.
            RequestOrigin::Failed(_) => first,
            RequestOrigin::FellBack { machine, .. } => RequestOrigin::FellBack { machine, hops },
            // Also from a replay cache: what says so stays in the head that is carried on.
            _ => RequestOrigin::Forwarded { hops },
        }
    }

    fn preview(
        &self,
        head: &Head<'_>,
        handover: &Handover<'_>,
    ) -> Result<Response<Bytes>, NotReplayable> {
        if let Some(first) = &self.first
            && let Ok(response) = first.preview(head, handover)
        {
            return Ok(response);
        }
        self.plan(head, handover).map(|_| Response::default())
    }

    fn came_through(&self, head: &Head<'_>) -> Option<bool> {
        let first = self.first.as_ref()?;
        // Without that proxy, requests are carried all the same.
        first.came_through(head).filter(|came| *came)
    }

    fn validate(&self) -> Result<(), crate::InvalidReplay> {
        self.first.as_ref().map_or(Ok(()), |first| first.validate())
    }
}

impl fmt::Debug for Carrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Carrier")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

/// The shortest time that makes a bound.
pub(super) fn at_least(time: Duration) -> Duration {
    time.max(Duration::from_millis(1))
}
