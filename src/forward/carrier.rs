//! What a layer carries requests with.

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Request, Response, StatusCode, request::Parts};
use hyper::upgrade::OnUpgrade;

use super::{
    Forward,
    answer::Unanswered,
    body::Carried,
    connect::Connector,
    expectation, fields,
    leaving::Leaving,
    plan::{ForwardTo, Route},
    pool::{Limits, Pool},
    request::{host, protocols, request},
    upload::{Progress, Upload},
};
use crate::{
    Handover, Head, NotReplayable, Replay, RequestOrigin, SessionId, directory::DirectoryId,
    future::Stream, numbered::Numbered, policy::Policy,
};

/// What a layer carries requests with.
pub(crate) struct Carrier {
    pub(super) settings: Forward,
    /// What is tried first, if anything is.
    pub(super) first: Option<Box<dyn Replay>>,
    pub(super) connector: Connector,
    pub(super) pool: Arc<Pool>,
    /// By owner.
    pub(super) routes: Numbered<Arc<Route>>,
}

/// A request as the owner gets it.
pub(super) struct Outgoing {
    pub(super) request: Request<Upload>,
    /// The client's connection, should the owner switch protocols.
    pub(super) client: Option<OnUpgrade>,
    pub(super) upload: Option<Arc<Progress>>,
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
            routes: Numbered::default(),
        })
    }

    /// Whether the replay that is tried first takes this request.
    pub(crate) fn is_replayed(&self, head: &Head<'_>, handover: &Handover<'_>) -> bool {
        let first = self.first.as_ref();
        first.is_some_and(|first| first.preview(head, handover).is_ok())
    }

    /// Ends the response when this machine drains, if it is a stream.
    pub(super) fn until_leaving(
        &self,
        response: Response<Carried>,
        policy: &Arc<Policy>,
        session: &SessionId,
    ) -> Response<Carried> {
        let Some(stream) = Stream::of(response.headers()) else {
            return response;
        };
        response.map(|body| match body {
            Carried::Owners(body) => {
                let grace = self.settings.stream_grace;
                let leaving = Leaving::new(Arc::clone(policy), session.clone(), stream, grace);
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
        let asks = client.is_some() && !to.route.target.http2;
        let protocols = asks.then(|| protocols(&head.headers)).flatten();
        let tunnels = to.route.target.tunnels;
        let client = client.filter(|_| tunnels || protocols.is_some());
        let Ok(host) = host(&head, &to.route.target) else {
            return Err(Unanswered::Client(StatusCode::BAD_REQUEST));
        };
        let upload = body.progress();
        let mut request = request(
            head,
            body,
            &to.route.target,
            to.route.forwarded.clone(),
            protocols,
            host,
        );
        // Servers of HTTP/2 do not ask.
        if upload.is_some() && !to.route.target.http2 && expectation::waits(request.headers()) {
            expectation::hold(&mut request);
        }
        Ok(Outgoing {
            request,
            client,
            upload,
        })
    }
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

    fn directory(&self, head: &Head<'_>) -> Option<DirectoryId> {
        let first = self.first.as_ref();
        fields::directory(head.headers).or_else(|| first?.directory(head))
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
