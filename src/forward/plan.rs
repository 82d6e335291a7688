//! Where a request is carried to.

use std::sync::Arc;

use http::{HeaderValue, Method, header};
use tracing::Span;

use super::{
    asker::Asker, carrier::Carrier, fields, pool::Owner, request::is_grpc, target::Target,
    tunnel::is_extended_connect,
};
use crate::{
    Handover, Head, MachineId, NotReplayable, RequestOrigin, SessionId, policy::Policy,
    replay::is_upgrade,
};

/// The way to an owner. Most requests for its sessions share one, which is [kept](Carrier::keep).
#[derive(Debug)]
pub(crate) struct Route {
    pub(super) target: Target,
    pub(super) forwarded: HeaderValue,
    pub(crate) owner: MachineId,
    /// The connections to it, of a route that is kept.
    pub(super) connections: Option<Arc<Owner>>,
}

/// In the extensions of a request that is to be carried, between the layer and its forwarder.
#[derive(Clone, Debug)]
pub(crate) struct ForwardTo {
    pub(super) route: Arc<Route>,
    /// What is known of the request, should it have to be refused.
    pub(crate) session: SessionId,
    /// Boxed, since it is large, and moved with each request that is carried.
    pub(crate) asker: Box<Asker>,
    pub(crate) span: Option<Span>,
}

impl ForwardTo {
    fn by(route: Arc<Route>, session: &SessionId, head: &Head<'_>) -> Self {
        Self {
            route,
            session: session.clone(),
            asker: Box::new(Asker::of(head)),
            span: None,
        }
    }

    /// The same, in this span.
    pub(crate) fn within(self, span: Option<Span>) -> Self {
        Self { span, ..self }
    }

    pub(crate) fn owner(&self) -> &MachineId {
        &self.route.owner
    }
}

impl Carrier {
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
        let hops = handover.origin.hops().saturating_add(1);
        let route = Route {
            target,
            forwarded: fields::forwarded(hops, handover.directory, handover.machine)
                .ok_or(NotReplayable::ForbiddenAddress)?,
            owner: handover.owner.clone(),
            connections: None,
        };
        let session = handover.session.id();
        Ok(ForwardTo::by(Arc::new(route), session, head))
    }

    /// Where the request is to be carried if it goes where most requests for this owner's sessions go, and
    /// one of them has been [planned](Self::plan).
    #[inline]
    pub(crate) fn planned(
        &self,
        head: &Head<'_>,
        owner: u16,
        session: &SessionId,
    ) -> Option<ForwardTo> {
        if !self.goes_with_others(head) {
            return None;
        }
        let route = Arc::clone(self.routes.get(owner)?);
        Some(ForwardTo::by(route, session, head))
    }

    /// Keeps the plan for other requests for sessions of the same owner.
    pub(crate) fn keep(
        &self,
        head: &Head<'_>,
        to: &ForwardTo,
        owner: impl FnOnce() -> Option<u16>,
    ) {
        if !self.goes_with_others(head) {
            return;
        }
        if let Some(place) = owner().and_then(|number| self.routes.place(number)) {
            place.get_or_init(|| {
                let route = &to.route;
                Arc::new(Route {
                    target: route.target.clone(),
                    forwarded: route.forwarded.clone(),
                    owner: route.owner.clone(),
                    connections: Some(self.pool.owner(&route.target)),
                })
            });
        }
    }

    /// Whether nothing but the owner says where, and how, the request is carried.
    #[inline]
    fn goes_with_others(&self, head: &Head<'_>) -> bool {
        self.first.is_none()
            && !self.settings.to.depends_on_session()
            && *head.method != Method::CONNECT
            && !head.headers.contains_key(header::UPGRADE)
            && !head.headers.contains_key(fields::FORWARDED)
            && (self.settings.always_http2 || !is_grpc(head))
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

    /// Where the session is by now, if that is another place than the plan's, and not this machine, whose
    /// application was not made ready for the request.
    pub(super) async fn moved(&self, to: &ForwardTo, policy: &Policy) -> Option<Target> {
        let session = policy.recheck(&to.session).await?;
        let owner = session.owner().filter(|owner| **owner != policy.machine)?;
        let handover = Handover::new(&session, owner, &policy.machine, &RequestOrigin::Direct);
        let planned = &to.route.target;
        let mut target = self.target(&handover, planned.http2).ok()?;
        target.tunnels = planned.tunnels;
        // The scheme stands in the head of HTTP/2, which is made by now.
        (target != *planned && target.tls == planned.tls).then_some(target)
    }
}

#[cfg(test)]
mod tests {
    use http::{Request, Version};

    use super::*;
    use crate::{Replay as _, Session, forward::Forward};

    const OWNER: u16 = 7;

    fn machine(id: &str) -> MachineId {
        id.parse().unwrap()
    }

    /// What the request is planned to do, and what a kept plan says of it.
    fn both(forward: Forward, request: &Request<()>) -> (ForwardTo, Option<ForwardTo>) {
        let (me, owner) = (machine("me"), machine("other"));
        let session = Session::owned_by("a".parse::<SessionId>().unwrap(), owner.clone());
        let session = session.with_address("http://10.0.0.2:80".parse().unwrap());
        let plain = Request::new(());
        let carrier = Carrier::new(forward, None);
        let handover = Handover::new(&session, &owner, &me, &RequestOrigin::Direct);
        let first = carrier.plan(&Head::from(&plain), &handover).unwrap();
        carrier.keep(&Head::from(&plain), &first, || Some(OWNER));
        let head = Head::from(request);
        let origin = carrier.origin(&head);
        let handover = Handover::new(&session, &owner, &me, &origin);
        let planned = carrier.planned(&head, OWNER, session.id());
        (carrier.plan(&head, &handover).unwrap(), planned)
    }

    #[test]
    fn a_kept_plan_says_what_a_new_one_does_or_nothing() {
        let at_address = || Forward::to_owner_address(["10.0.0.0/8"]).unwrap();
        let at_template = |template| Forward::to_template(template, ["*.internal"]).unwrap();
        let ways = [
            (at_address(), true),
            (at_address().always_http2(), true),
            (at_template("http://{owner}.internal"), true),
            (at_template("http://{session}.{owner}.internal"), false),
        ];
        for (forward, keeps) in ways {
            for (name, value, version, goes_with_others) in [
                ("accept", "text/html", Version::HTTP_11, true),
                ("content-type", "application/grpc", Version::HTTP_11, true),
                ("content-type", "application/grpc", Version::HTTP_2, false),
                ("upgrade", "websocket", Version::HTTP_11, false),
                ("upgrade", "h2c", Version::HTTP_11, false),
                (
                    "ownership-forwarded",
                    "1;from=third",
                    Version::HTTP_11,
                    false,
                ),
            ] {
                let request = Request::builder().version(version).header(name, value);
                let request = request.body(()).unwrap();
                let (new, kept) = both(forward.clone(), &request);
                let always = forward.always_http2 && value == "application/grpc";
                assert_eq!(
                    kept.is_some(),
                    keeps && (goes_with_others || always),
                    "{value}"
                );
                if let Some(kept) = kept {
                    assert_eq!(kept.route.target, new.route.target, "{value}");
                    assert_eq!(kept.route.forwarded, new.route.forwarded, "{value}");
                    assert_eq!(kept.owner(), new.owner(), "{value}");
                }
            }
        }
    }
}
