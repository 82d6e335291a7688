//! Carries one request to its owner, and the answer back.

use std::{
    fmt,
    sync::{Arc, OnceLock},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, Version, request::Parts};
use hyper::{body::Incoming, upgrade::OnUpgrade};
use tokio::runtime::Handle;
use tracing::Span;

use super::{
    Forward,
    answer::{Unanswered, answer},
    asker::Asker,
    body::{Carried, Download, Over},
    connect::Connector,
    expectation,
    failure::Failure,
    fields,
    leaving::Leaving,
    pool::{Limits, Pool},
    request::{host, is_grpc, protocols, request},
    target::Target,
    tunnel::is_extended_connect,
    upload::{Progress, Upload},
};
use crate::{
    Handover, Head, MachineId, NotReplayable, Replay, RequestOrigin, SessionId, future::Stream,
    hop_by_hop, policy::Policy, replay::is_upgrade, tunnel,
};

/// What a layer carries requests with.
pub(crate) struct Carrier {
    settings: Forward,
    /// What is tried first, if anything is.
    first: Option<Box<dyn Replay>>,
    connector: Connector,
    pool: Arc<Pool>,
    /// What most requests are given: this machine is the first that carries them.
    first_hop: OnceLock<HeaderValue>,
}

/// A request as the owner gets it.
pub(super) struct Outgoing {
    request: Request<Upload>,
    /// The client's connection, should the owner switch protocols.
    client: Option<OnUpgrade>,
    upload: Option<Arc<Progress>>,
}

/// In the extensions of a request that is to be carried, between the layer and its forwarder.
#[derive(Debug)]
pub(crate) struct ForwardTo {
    target: Target,
    forwarded: HeaderValue,
    /// What is known of the request, should it have to be refused.
    pub(crate) session: SessionId,
    pub(crate) owner: MachineId,
    pub(crate) asker: Asker,
    pub(crate) span: Option<Span>,
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
            first_hop: OnceLock::new(),
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
        let tunnels = is_extended_connect(head);
        // To another host, where the client says.
        if *head.method == Method::CONNECT && !tunnels {
            return Err(NotReplayable::Upgrade);
        }
        let is_carried = *handover.origin != RequestOrigin::Direct;
        if is_carried && fields::comes_from(head.headers, handover.machine) {
            return Err(NotReplayable::Circular);
        }
        let http2 = tunnels || !is_upgrade(head) && (self.settings.always_http2 || is_grpc(head));
        let mut target = self.target(handover, http2)?;
        target.tunnels = tunnels;
        Ok(ForwardTo {
            target,
            forwarded: self
                .forwarded(handover)
                .ok_or(NotReplayable::ForbiddenAddress)?,
            session: handover.session.id().clone(),
            owner: handover.owner.clone(),
            asker: Asker::of(head),
            span: None,
        })
    }

    fn forwarded(&self, handover: &Handover<'_>) -> Option<HeaderValue> {
        let hops = handover.origin.hops().saturating_add(1);
        if hops > 1 {
            return fields::forwarded(hops, handover.machine);
        }
        if let Some(first) = self.first_hop.get() {
            return Some(first.clone());
        }
        let first = fields::forwarded(hops, handover.machine)?;
        Some(self.first_hop.get_or_init(|| first).clone())
    }

    fn target(&self, handover: &Handover<'_>, http2: bool) -> Result<Target, NotReplayable> {
        let address = self.settings.to.of(handover)?;
        let has_no_path = ["", "/"].contains(&address.as_uri().path());
        #[cfg(feature = "tls")]
        let has_tls = self.settings.has_tls();
        #[cfg(not(feature = "tls"))]
        let has_tls = false;
        if !has_no_path || (address.scheme() == "https" && !has_tls) {
            return Err(NotReplayable::ForbiddenAddress);
        }
        let target = Target::new(&address, http2);
        if !self.settings.allowed.allows(&address, &target) {
            return Err(NotReplayable::ForbiddenAddress);
        }
        Ok(target)
    }

    /// Where the session is by now, if that is another place than `to`, and not this machine, whose
    /// application was not made ready for the request.
    async fn moved(&self, to: &ForwardTo, policy: &Policy) -> Option<Target> {
        let session = policy.recheck(&to.session).await?;
        let owner = session.owner().filter(|owner| **owner != policy.machine)?;
        let handover = Handover::new(&session, owner, &policy.machine, &RequestOrigin::Direct);
        let mut target = self.target(&handover, to.target.http2).ok()?;
        target.tunnels = to.target.tunnels;
        // The scheme stands in the head of HTTP/2, which is made by now.
        (target != to.target && target.tls == to.target.tls).then_some(target)
    }

    /// Ends the response when this machine drains, if it is a stream.
    pub(super) fn until_leaving(
        &self,
        response: Response<Carried>,
        policy: Arc<Policy>,
        session: &SessionId,
    ) -> Response<Carried> {
        let Some(stream) = Stream::of(response.headers()) else {
            return response;
        };
        response.map(|body| match body {
            Carried::Owners(body) => {
                let grace = self.settings.stream_grace;
                let leaving = Leaving::new(policy, session.clone(), stream, grace);
                Carried::Owners(body.until(leaving))
            }
            ours @ Carried::Ours(_) => ours,
        })
    }

    /// Makes of a request what the owner gets.
    pub(super) fn prepare(
        to: &ForwardTo,
        mut head: Parts,
        body: Upload,
    ) -> Result<Outgoing, Unanswered> {
        let client = head.extensions.remove::<OnUpgrade>();
        let asks = client.is_some() && !to.target.http2;
        let protocols = asks.then(|| protocols(&head.headers)).flatten();
        let tunnels = to.target.tunnels;
        let client = client.filter(|_| tunnels || protocols.is_some());
        let Ok(host) = host(&head, &to.target) else {
            return Err(Unanswered::Client(StatusCode::BAD_REQUEST));
        };
        let upload = body.progress();
        let mut request = request(
            head,
            body,
            &to.target,
            to.forwarded.clone(),
            protocols,
            host,
        );
        // Servers of HTTP/2 do not ask.
        if upload.is_some() && !to.target.http2 && expectation::waits(request.headers()) {
            expectation::hold(&mut request);
        }
        Ok(Outgoing {
            request,
            client,
            upload,
        })
    }

    /// Carries the request to its owner and the answer back. Dropped, it closes the connection.
    pub(super) async fn carry(
        &self,
        to: &ForwardTo,
        outgoing: Outgoing,
        policy: &Policy,
    ) -> Result<Response<Carried>, Unanswered> {
        let Outgoing {
            mut request,
            client,
            upload,
        } = outgoing;
        if Handle::try_current().is_err() {
            return Err(Unanswered::not_sent(request, Failure::NoRuntime));
        }
        let (mut target, mut may_move) = (to.target.clone(), true);
        let mut ticket = match self.pool.admit(&target) {
            Ok(ticket) => ticket,
            Err(failure) => return Err(Unanswered::not_sent(request, failure)),
        };
        let mut kept = ticket.idle();
        loop {
            let is_new = kept.is_none();
            let mut connection = match kept.take() {
                Some(connection) => connection,
                None => match self.connector.connect(&target).await {
                    Ok(connection) => connection,
                    Err(failure) if may_move && failure.casts_doubt() => {
                        may_move = false;
                        let Some(moved) = Box::pin(self.moved(to, policy)).await else {
                            return Err(Unanswered::not_sent(request, failure));
                        };
                        target = moved;
                        ticket = match self.pool.admit(&target) {
                            Ok(ticket) => ticket,
                            Err(failure) => return Err(Unanswered::not_sent(request, failure)),
                        };
                        kept = ticket.idle();
                        continue;
                    }
                    Err(failure) => return Err(Unanswered::not_sent(request, failure)),
                },
            };
            let limit = self.settings.response_timeout;
            let doubt = || async {
                Box::pin(policy.recheck(&to.session)).await;
            };
            match answer(connection.send(request), limit, upload.as_deref(), doubt).await {
                Ok(response) => {
                    let over = Over {
                        connection,
                        ticket,
                        upload,
                    };
                    return switched_or_carried(response, over, client, to.target.tunnels);
                }
                // The owner closed the connection while it was idle.
                Err(Unanswered::NotSent(unsent, _)) if !is_new => request = *unsent,
                Err(unanswered) => {
                    if let Unanswered::Failed(Failure::NoAnswerWithin(_)) = unanswered {
                        ticket.close_idle();
                    }
                    return Err(unanswered);
                }
            }
        }
    }
}

/// Opens a tunnel if both sides have agreed to switch protocols.
fn switched_or_carried(
    mut response: Response<Incoming>,
    over: Over,
    client: Option<OnUpgrade>,
    tunnels: bool,
) -> Result<Response<Carried>, Unanswered> {
    let agrees = if tunnels {
        StatusCode::OK
    } else {
        StatusCode::SWITCHING_PROTOCOLS
    };
    if response.status() != agrees {
        return Ok(carried(response, over));
    }
    let Some(client) = client else {
        return Err(Unanswered::Failed(Failure::Unasked));
    };
    let owner = hyper::upgrade::on(&mut response);
    tokio::spawn(async move {
        // The connection holds the bytes until both have switched.
        tunnel::join(client, owner, ()).await;
        // Over HTTP/2 also at the end, which its tasks have not sent yet.
        over.ticket.give_back(over.connection, None);
    });
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
        // What no replay takes is carried, and has no answer before that.
        match &self.first {
            Some(first) => first.replay(head, handover),
            None => Err(NotReplayable::NoAddress),
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
