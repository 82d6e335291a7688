//! Requests that pass, or are handed over, at once.

use bytes::Bytes;
use http::Response;
use tracing::Level;

use super::Policy;
#[cfg(feature = "forward")]
use crate::forward::ForwardTo;
use crate::{
    CacheStatus, Head, RequestOrigin, SessionId, Verdict,
    cache::{Glance, Usual},
    meter,
    ownership::Grant,
};

/// What becomes of a request by what the cache and the node say, if nothing listens for its verdict: what
/// most requests come to. All others go the long way, which gathers all reasons.
pub(crate) enum AtOnce {
    Passes(Glance),
    Answered(Response<Bytes>),
    /// By the forwarder within the layer.
    #[cfg(feature = "forward")]
    IsCarried(ForwardTo),
    No,
}

impl Policy {
    /// It writes nothing that another core reads, and allocates nothing for a request that passes.
    #[inline]
    pub(crate) fn at_once(&self, head: &Head<'_>, id: &SessionId) -> AtOnce {
        let Some(glance) = self.sessions.cache.glance(id) else {
            return AtOnce::No;
        };
        if self.has_listener(Level::DEBUG) {
            return AtOnce::No;
        }
        match glance.usual() {
            Usual::Serves if self.passes(head, id, &glance) => AtOnce::Passes(glance),
            Usual::HandsOver => self.hands_over(head, id, &glance),
            Usual::Serves | Usual::Neither => AtOnce::No,
        }
    }

    #[inline]
    fn hands_over(&self, head: &Head<'_>, id: &SessionId, glance: &Glance) -> AtOnce {
        #[cfg(feature = "forward")]
        if let Some(carrier) = &self.forward {
            let planned = self.planned(carrier, head, id, glance);
            return planned.map_or(AtOnce::No, AtOnce::IsCarried);
        }
        match self.kept_handover(head, glance) {
            Some(answer) => {
                self.note(Verdict::Replay, id, glance, || RequestOrigin::Direct);
                AtOnce::Answered(answer)
            }
            None => AtOnce::No,
        }
    }

    /// Whether a request for no session passes without anything that notes it, and without anything that its
    /// response could ask for.
    #[inline]
    pub(crate) fn passes_unseen(&self) -> bool {
        !cfg!(feature = "axum")
            && !meter::COUNTS
            && !self.looks_at_what_passes()
            && self.searches.are_over()
            && !self.has_listener(Level::TRACE)
    }

    /// How the request came here is not asked: a replay casts doubt on where a request has to go, so that
    /// two machines do not pass it back and forth, and not on a read that allows this machine to serve.
    #[inline]
    fn passes(&self, head: &Head<'_>, id: &SessionId, glance: &Glance) -> bool {
        let node = &self.sessions.node;
        let passes = node.serves_by(glance.asked_at, glance.now, glance.is_bounded())
            && (!self.asks_of_sessions() || self.allows(head, id, glance));
        if passes {
            self.note(Verdict::Pass, id, glance, || self.replay.origin(head));
        }
        passes
    }

    /// Whether what passes depends on more than the owner.
    #[inline]
    fn asks_of_sessions(&self) -> bool {
        self.guard.is_some() || self.sliding.is_some()
    }

    fn allows(&self, head: &Head<'_>, id: &SessionId, glance: &Glance) -> bool {
        let session = self.sessions.cache.session(id, glance);
        let allows = self.guard.as_ref().is_none_or(|guard| {
            // It is the application's, and may take longer than the read can be relied on.
            guard(head, &session) && self.sessions.node.still_serves(glance.asked_at)
        });
        if allows && let (Some(sliding), Some(registrar)) = (&self.sliding, &self.births.registrar)
        {
            sliding.passed(&self.sessions, registrar, &session, glance.age());
        }
        allows
    }

    #[inline]
    pub(super) fn note(
        &self,
        verdict: Verdict,
        id: &SessionId,
        glance: &Glance,
        origin: impl FnOnce() -> RequestOrigin,
    ) {
        if glance.ageing {
            self.sessions.cache.refresh(id);
        }
        if meter::COUNTS {
            self.meter
                .reached(verdict, Some(CacheStatus::Hit), &origin());
        }
    }

    /// What lets the request pass.
    #[inline]
    pub(crate) fn grant(&self, id: &SessionId, glance: &Glance) -> Grant {
        Grant {
            session: self.sessions.cache.session(id, glance),
            read_at: glance.asked_at,
            cache_status: CacheStatus::Hit,
        }
    }
}
