//! Everything that a layer was built with, and what it says to one request.

use std::sync::Arc;

use http::request::Parts;

use crate::{
    CacheStatus, ExtractSession, Head, MachineId, MalformedSession, Observe, Observed, OwnerStatus,
    Render, RenderContext, Replay, RequestOrigin, Session, SessionId, SessionIds, Verdict,
    cache::{Found, Hit, Pending},
    claim::Rule,
    clock::Tick,
    decision::{Decision, Known, Local, Lookup, decide},
    future::DiscardLimits,
    meter,
    observe::{RequestSpan, Searches, Warnings},
    ownership::{Grant, Lease, Sessions, SlidingExpiry},
};

mod births;
mod confirm;
#[cfg(feature = "forward")]
mod forward;
mod hand_over;
mod pass;
#[cfg(test)]
mod pass_tests;
mod refuse;
mod refused;
mod settle;
mod shared;
mod tell;
#[cfg(test)]
mod tests;
mod twins;
mod volatile;

pub(crate) use refuse::expiring;
pub(crate) use refused::{Answer, Read, Refused, Unsettled, Why};
pub(crate) use settle::{ROUNDS, Settled};
pub(crate) use shared::{Keeper, SharedPolicy};

pub(crate) use births::Births;
pub(crate) use hand_over::{KeptHandovers, WriteHandover};
pub(crate) use pass::AtOnce;

/// Says whether this request may come near this session.
pub(crate) type Guard = dyn Fn(&Head<'_>, &Session) -> bool + Send + Sync;

/// One per layer, shared by all services that it makes and all requests that they see.
pub(crate) struct Policy {
    pub(crate) machine: MachineId,
    pub(crate) extract: Box<dyn ExtractSession>,
    pub(crate) searches: Searches,
    pub(crate) ids: SessionIds,
    pub(crate) births: Births,
    /// Whether streams of the application end with the ownership.
    pub(crate) ends_streams: bool,
    /// Whether the application's headers may not reach the proxy in front unseen.
    pub(crate) hosts_untrusted: bool,
    /// How much of a body is read that no application reads.
    pub(crate) refused_bodies: DiscardLimits,
    pub(crate) sliding: Option<SlidingExpiry>,
    pub(crate) sessions: Arc<Sessions>,
    pub(crate) guard: Option<Box<Guard>>,
    /// Which requests may claim a session without an owner, and take one over from a lost owner.
    pub(crate) claims: Rule,
    pub(crate) takes_over: Rule,
    pub(crate) replay: Box<dyn Replay>,
    pub(crate) handovers: KeptHandovers,
    /// There if the service within the layer is a forwarder.
    #[cfg(feature = "forward")]
    pub(crate) forward: Option<Arc<crate::forward::Carrier>>,
    pub(crate) max_hops: u8,
    /// Whether handlers find `Owned` in the request's extensions.
    pub(crate) tells_owned: bool,
    pub(crate) render: Box<dyn Render>,
    pub(crate) observe: Option<Box<dyn Observe>>,
    pub(crate) warnings: Warnings,
    pub(crate) meter: meter::Verdicts,
}

/// A request's question: which session, and how the request came here.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    pub(crate) session: SessionId,
    pub(crate) origin: RequestOrigin,
    /// Whether a claim was made for it already, or the session's end written: one has to be enough.
    pub(crate) claimed: bool,
}

impl Question {
    /// The same, for which a claim is being made.
    pub(crate) fn claimed(self) -> Self {
        Self {
            claimed: true,
            ..self
        }
    }
}

/// What is to be done.
pub(crate) enum Act {
    Pass(Grant),
    /// Wait for this claim, or for the end of the session, and judge again.
    Claim(Pending),
    Answer(Answer),
    /// Have the service within the layer, which is a forwarder, carry the request to its owner.
    #[cfg(feature = "forward")]
    Carry,
}

impl Policy {
    /// Whether a response has to be looked at, whatever its request was for.
    #[inline]
    pub(crate) fn attends_every_response(&self) -> bool {
        self.hosts_untrusted || self.births.are_looked_for()
    }

    /// Whether a request that passes, or its response, takes more than to be passed on.
    #[inline]
    pub(crate) fn looks_at_what_passes(&self) -> bool {
        self.ends_streams || self.births.tells_registrar || self.attends_every_response()
    }

    /// The session that the request names; `None` if it is for no session.
    #[inline]
    pub(crate) fn named(&self, head: &Head<'_>) -> Result<Option<SessionId>, MalformedSession> {
        let named = self.extract.session(head);
        if let Ok(Some(id)) = &named {
            self.searches.found();
            if !self.ids.holds(id) {
                return self.admitted(named);
            }
        }
        named
    }

    #[cold]
    fn admitted(
        &self,
        named: Result<Option<SessionId>, MalformedSession>,
    ) -> Result<Option<SessionId>, MalformedSession> {
        let admit = |id| self.ids.admit(id).ok_or(MalformedSession::NotAnId);
        named?.map(admit).transpose()
    }

    /// What the request asks for.
    pub(crate) fn question(&self, head: &Head<'_>, session: SessionId) -> Question {
        Question {
            session,
            origin: self.replay.origin(head),
            claimed: false,
        }
    }

    /// The span that the request is in from here on.
    #[inline]
    pub(crate) fn span(&self, question: &Question) -> RequestSpan {
        RequestSpan::begin(&question.session, &self.machine, &question.origin)
    }

    /// What is known already and may be used for this request.
    pub(crate) fn known(&self, question: &Question, hit: Option<Hit>) -> Option<Found> {
        let cache = &self.sessions.cache;
        cache.get(&question.session, hit, question.origin.casts_doubt())
    }

    /// Asks for what is not.
    pub(crate) fn look_up(&self, question: &Question) -> Pending {
        let cache = &self.sessions.cache;
        cache.load(&question.session, question.origin.casts_doubt())
    }

    /// Decides, and acts where the application does not.
    pub(crate) fn judge(
        &self,
        head: &mut Parts,
        question: &Question,
        found: Found,
        span: &RequestSpan,
    ) -> Act {
        let origin = &question.origin;
        let seen = Observed {
            session: Some(&question.session),
            origin,
            cache_status: Some(found.cache_status),
            age: Some(found.age),
            lookup_time: found.waited,
            ..self.saw(Verdict::Pass)
        };
        let (read_at, age, read) = (found.asked_at, found.age, Read::of(&found));
        let node = &self.sessions.node;
        let lease = |session: &_, read_at, cache_status| node.lease(session, read_at, cache_status);
        let decision = self.decide(&Head::from(&*head), question, found, lease);
        let verdict = decision.verdict();
        let line = self.line(&Head::from(&*head), Some(&question.session), verdict, span);
        let seen = Observed {
            verdict,
            request: line.as_deref(),
            ..seen
        };
        let seen = match &decision {
            Decision::Reject(refusal) => {
                self.beside_sender(seen, refusal.code, &Head::from(&*head), origin)
            }
            _ => seen,
        };
        match decision {
            Decision::Serve { session } => {
                if let (Some(sliding), Some(registrar)) = (&self.sliding, &self.births.registrar) {
                    sliding.passed(&self.sessions, registrar, &session, age);
                }
                self.tell(&seen.of(&session), span);
                Act::Pass(Grant {
                    session,
                    read_at,
                    cache_status: read.cache_status,
                })
            }
            Decision::Claim { seen } => Act::Claim(self.sessions.claim(&seen).after(read.waited)),
            Decision::End { seen } => Act::Claim(self.sessions.end(&seen).after(read.waited)),
            Decision::HandOver { session, owner } => {
                let seen = seen.of(&session);
                #[cfg(feature = "forward")]
                if let Some(act) = self.carry(head, &session, &owner, origin, &seen, span) {
                    return act;
                }
                let head = Head::from(&*head);
                let write: WriteHandover = <dyn Replay>::replay;
                Act::Answer(Ok(
                    match self.hand_over(&head, &session, &owner, origin, write) {
                        Ok(response) => {
                            self.tell(&seen, span);
                            response
                        }
                        Err(rejection) => {
                            let line =
                                self.refused_line(&head, &question.session, &rejection, span);
                            let request = line.as_deref();
                            let seen = Observed { request, ..seen };
                            self.refuse(rejection, &seen, span, RenderContext::of(&head))
                        }
                    },
                ))
            }
            Decision::Reject(refusal) if refusal.is_dead() => {
                Act::Answer(self.turn_down(head, question, refusal, &seen, read, span))
            }
            Decision::Reject(refusal) => {
                let context = RenderContext::of(&Head::from(&*head));
                Act::Answer(Ok(self.reject(&refusal, question, &seen, span, context)))
            }
        }
    }

    /// Asks the rules and changes nothing, so that an explanation can ask them too. `lease`: what the
    /// read allows this machine.
    pub(crate) fn decide(
        &self,
        head: &Head<'_>,
        question: &Question,
        found: Found,
        lease: impl FnOnce(&Session, Tick, CacheStatus) -> Lease,
    ) -> Decision {
        let local = self.local(head, question, found.session.as_ref().ok());
        let (read_at, cache_status, age) = (found.asked_at, found.cache_status, found.age);
        let lookup = match found.session {
            Err(error) => Lookup::Failed(error),
            Ok(None) => Lookup::Unknown,
            Ok(Some(session)) => {
                let guard = self.guard.as_ref();
                Lookup::Known(Known {
                    allowed: guard.is_none_or(|guard| guard(head, &session)),
                    lease: lease(&session, read_at, cache_status),
                    age,
                    session,
                })
            }
        };
        decide(lookup, &local, &question.origin)
    }

    /// What this machine may do for a request. The application's rules are asked only where they
    /// matter. A machine that waits for another process of its own takes nothing: another machine
    /// could serve it meanwhile.
    pub(crate) fn local(
        &self,
        head: &Head<'_>,
        question: &Question,
        found: Option<&Option<Session>>,
    ) -> Local<'_> {
        let session = found.and_then(Option::as_ref).filter(|_| !question.claimed);
        let is_lost = |session: &Session| session.owner_status() == OwnerStatus::Lost;
        let node = &self.sessions.node;
        let may = |rule: &Rule| rule.allows(head) && node.is_alone();
        Local {
            machine: &self.machine,
            state: node.state(),
            max_hops: self.max_hops,
            claims: session.is_some_and(Session::is_unassigned) && may(&self.claims),
            takes_over: session.is_some_and(is_lost) && may(&self.takes_over),
            ever_claims: self.claims.needs_directory(),
            volatile: self.volatile(head, question),
        }
    }
}
