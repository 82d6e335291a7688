//! One request for one session, seen from what is cached and from the directory.

use std::time::Duration;

use http::request::Parts;

use super::{
    FailureRead, Finding, Reading, ResponseShown, SessionRead,
    circumstances::Circumstances,
    notes::notes_on_owner,
    read::{kind, lease_read, meaning, milliseconds, response_shown},
    shown::Shown,
};
use crate::{
    Code, Reader, Rejection, Replay, Session, SessionStatus,
    cache::{Found, Remembered},
    decision::{Decision, Known, Lookup, decide},
    identity,
    observe::causes,
    ownership::Lease,
    policy::{Policy, Question, WriteHandover},
};

/// What a handover's answer would be. Nothing is counted by it.
const PREVIEW: WriteHandover = <dyn Replay>::preview;

/// A look at one request for one session.
pub(super) struct Look<'a> {
    pub(super) policy: &'a Policy,
    pub(super) head: &'a Parts,
    pub(super) question: &'a Question,
    pub(super) shown: Shown,
}

impl Look<'_> {
    /// Whether the request may be judged by what is remembered.
    pub(super) fn may_use(&self, cached: &Remembered) -> bool {
        let age = cached.found.age;
        let is_news =
            !self.question.arrival.casts_doubt() || self.policy.sessions.cache.is_recheck(age);
        !cached.left().is_zero() && is_news
    }

    pub(super) fn reading(&self, found: &Found, usable: bool, left: Option<Duration>) -> Reading {
        let decision = self.decide(found);
        let session = found.session.as_ref().ok().and_then(Option::as_ref);
        let (code, response) = self.answer(&decision);
        let node = &self.policy.sessions.node;
        let mine = session.filter(|session| node.is_me(session.owner()));
        let guard = self.policy.guard.as_ref();
        Reading {
            source: found.source,
            age_ms: milliseconds(found.age),
            usable,
            usable_for_ms: left.map(milliseconds),
            session: session.map(|session| self.session_read(session, found.age)),
            failure: found.session.as_ref().err().map(|error| FailureRead {
                kind: kind(error.kind()),
                chain: causes(error)
                    .iter()
                    .map(|cause| self.shown.text(cause))
                    .collect(),
            }),
            guard_allows: session
                .map(|session| guard.is_none_or(|guard| guard(self.head, session))),
            lease: mine.map(|session| lease_read(self.lease(found, session))),
            verdict: decision.verdict(),
            code,
            meaning: meaning(decision.verdict(), code, session),
            response,
        }
    }

    fn lease(&self, found: &Found, session: &Session) -> Lease {
        let node = &self.policy.sessions.node;
        node.preview_lease(session, found.asked_at, found.source)
    }

    fn decide(&self, found: &Found) -> Decision {
        let node = &self.policy.sessions.node;
        let lease = |session: &_, read_at, source| node.preview_lease(session, read_at, source);
        self.policy
            .decide(self.head, self.question, found.clone(), lease)
    }

    /// The answer that would be sent, and the code of a refusal.
    fn answer(&self, decision: &Decision) -> (Option<Code>, Option<ResponseShown>) {
        let (policy, arrival) = (self.policy, &self.question.arrival);
        let reader = Reader::of(self.head);
        let (rejection, owner) = match decision {
            Decision::Serve { .. } | Decision::Claim { .. } => return (None, None),
            Decision::HandOver { session, owner } => {
                match policy.hand_over(self.head, session, owner, arrival, PREVIEW) {
                    Ok(response) => {
                        // What the layer fills an empty body with.
                        let unread = response.headers().get(http::header::LOCATION).is_none();
                        let machine = policy.machine.clone();
                        let read =
                            unread.then(|| Rejection::not_honoured(machine, response.status()));
                        let shown = response_shown(self.shown, &response, read.as_ref());
                        return (None, Some(shown));
                    }
                    Err(rejection) => (rejection, Some(owner)),
                }
            }
            Decision::Reject(refusal) => {
                let owner = refusal.session.as_ref().and_then(Session::owner);
                (policy.rejection(refusal, self.question), owner)
            }
        };
        let code = rejection.code();
        let response = policy.write(rejection, Some(self.question.session), owner, reader);
        let shown = response_shown(self.shown, &response, None);
        (Some(code), Some(shown))
    }

    fn session_read(&self, session: &Session, age: Duration) -> SessionRead {
        SessionRead {
            status: match session.status() {
                SessionStatus::Starting => "starting",
                SessionStatus::Active => "active",
                SessionStatus::Over => "over",
            },
            owner: session.owner().cloned(),
            owned_here: self.policy.sessions.node.is_me(session.owner()),
            presence: session.presence(),
            epoch: session.epoch(),
            released: session.released(),
            remaining_ms: session
                .remaining()
                .map(|life| milliseconds(life.saturating_sub(age))),
            address: session
                .address()
                .map(|address| self.shown.text(address.authority())),
            attributes: session.attributes().keys().cloned().collect(),
        }
    }

    pub(super) fn find(
        &self,
        asked: &Found,
        directory: &Reading,
        platform: Option<&identity::Found>,
    ) -> (Finding, String, Vec<String>) {
        let (policy, arrival) = (self.policy, &self.question.arrival);
        let session = asked.session.as_ref().map(Option::as_ref);
        let known = session.ok().flatten();
        let lease = known.map(|session| self.lease(asked, session));
        // What is wrong with the session is the same for every client.
        let decision = match (known, lease) {
            (Some(session), Some(lease)) => {
                let lookup = Lookup::Known(Known {
                    session: session.clone(),
                    age: asked.age,
                    allowed: true,
                    lease,
                });
                let found = asked.session.as_ref().ok();
                let local = policy.local(self.head, self.question, found);
                decide(lookup, &local, arrival)
            }
            _ => self.decide(asked),
        };
        let carried = match &decision {
            Decision::HandOver { session, owner } => policy
                .hand_over(self.head, session, owner, arrival, PREVIEW)
                .err(),
            _ => None,
        };
        let circumstances = Circumstances {
            machine: &policy.machine,
            state: policy.sessions.node.state(),
            platform,
            arrival,
            came_through: policy.replay.came_through(self.head),
            directory: session,
            age: asked.age,
            lease,
            verdict: decision.verdict(),
            allowed: directory.guard_allows.unwrap_or(true),
            not_carried: carried.as_ref(),
        };
        let (finding, summary) = circumstances.find();
        let mut notes = Vec::new();
        if let Some(session) = known {
            notes_on_owner(&mut notes, &circumstances, finding, session);
        }
        (finding, summary, notes)
    }
}
