//! One request for one session, seen from what is cached and from the directory.

use std::time::Duration;

use http::request::Parts;

use super::{
    FailureRead, Finding, Reading, ResponseShown, SessionRead,
    circumstances::Circumstances,
    notes::notes_on_owner,
    read::{kind, meaning, milliseconds, response_shown, right_read},
    shown::Shown,
};
use crate::{
    Code, LookupError, Reader, Record, Rejection, Replay, Session, SessionStatus, Verdict,
    cache::{Found, Remembered},
    decide, identity,
    observe::causes,
    policy::{Policy, Question, Weighed, WriteHandover},
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
        let is_news = !self.question.arrival.casts_doubt() || self.policy.cache.is_recheck(age);
        !cached.left().is_zero() && is_news
    }

    pub(super) fn reading(&self, found: &Found, usable: bool, left: Option<Duration>) -> Reading {
        let weighed = self.policy.weigh(self.head, self.question, found);
        let session = found.session.as_ref().ok().and_then(Option::as_ref);
        let (code, response) = self.answer(found, &weighed);
        let is_mine = session.is_some_and(|session| self.policy.cache.is_me(session.owner()));
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
            guard_allows: weighed.allowed,
            right: weighed.right.filter(|_| is_mine).map(right_read),
            verdict: weighed.verdict,
            code,
            meaning: meaning(weighed.verdict, code, session),
            response,
        }
    }

    /// The answer that would be sent, and the code of a refusal.
    fn answer(&self, found: &Found, weighed: &Weighed) -> (Option<Code>, Option<ResponseShown>) {
        let (policy, arrival) = (self.policy, &self.question.arrival);
        let reader = Reader::of(self.head);
        let session = found.session.as_ref().ok().and_then(Option::as_ref);
        let owner = session.and_then(Session::owner);
        let rejection = match (weighed.verdict, session) {
            (Verdict::Replay, Some(session)) => {
                match policy.hand_over(self.head, session, arrival, PREVIEW) {
                    Ok(response) => {
                        // What the layer fills an empty body with.
                        let unread = response.headers().get(http::header::LOCATION).is_none();
                        let machine = policy.machine.clone();
                        let read =
                            unread.then(|| Rejection::not_honoured(machine, response.status()));
                        let shown = response_shown(self.shown, &response, read.as_ref());
                        return (None, Some(shown));
                    }
                    Err(rejection) => rejection,
                }
            }
            (Verdict::Reject(code), _) => {
                let failed = found.session.as_ref().err().map(LookupError::kind);
                policy.rejection(code, owner, arrival, failed, weighed.right)
            }
            // Only what is known is replayed.
            (Verdict::Pass | Verdict::Claim | Verdict::Replay, _) => return (None, None),
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
            owned_here: self.policy.cache.is_me(session.owner()),
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
        let right = known.map(|session| policy.cache.right(asked, session));
        // What is wrong with the session is the same, whoever asks.
        let verdict = match (known, right) {
            (Some(session), Some(right)) => {
                let record = Record::known(session, asked.age, true, right);
                let here = policy.here(self.head, self.question, asked.session.as_ref().ok());
                decide(record, here, arrival)
            }
            _ => directory.verdict,
        };
        let carried = match (verdict, known) {
            (Verdict::Replay, Some(session)) => {
                policy.hand_over(self.head, session, arrival, PREVIEW).err()
            }
            _ => None,
        };
        let circumstances = Circumstances {
            machine: &policy.machine,
            standing: policy.cache.standing(),
            platform,
            arrival,
            came_through: policy.replay.came_through(self.head),
            directory: session,
            age: asked.age,
            right,
            verdict,
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
