//! Collecting what an explanation holds. Everything here goes by `&self` and by what leaves no trace.

use http::Response;
use serde_json::{Value, json};

use super::{
    Explanation,
    find::Case,
    looked::Looked,
    notes::note_on_cache,
    read::{kind, lease_read, milliseconds, origin_read, session_read},
    shown::Shown,
};
use crate::{
    CacheStatus, Finding, Head, LookupErrorKind, MalformedSession, Rejection, RenderContext,
    Replay, RequestOrigin, Session,
    cache::{Found, Remembered},
    decision::{Decision, Known, Lookup, decide},
    identity,
    observe::causes,
    ownership::Lease,
    policy::{Policy, Question, WriteHandover, expiring},
};

/// What a handover's answer would be. Nothing is counted by it.
const PREVIEW: WriteHandover = <dyn Replay>::preview;

/// One request that is explained.
pub(super) struct Examined<'a> {
    pub(super) policy: &'a Policy,
    pub(super) head: Head<'a>,
    pub(super) whole: bool,
    /// Of what was taken out of it.
    pub(super) taken_out: Vec<String>,
}

impl Examined<'_> {
    /// A request that names no session, or none that can be read.
    pub(super) fn of_no_session(&self, malformed: Option<MalformedSession>) -> Explanation {
        let (machine, extract) = (self.policy.machine.clone(), &self.policy.extract);
        let (finding, evidence, rejection) = match malformed {
            Some(why) => {
                let rejection = Rejection::malformed(machine, why);
                let finding = match why {
                    MalformedSession::NotAnId => Finding::SessionUnknown,
                    _ => Finding::SessionMalformed,
                };
                (finding, format!(": {why}"), Some(rejection))
            }
            None if self.policy.searches.are_required => {
                let rejection = Rejection::missing(machine, &extract.describe());
                (Finding::SessionMissing, String::new(), Some(rejection))
            }
            None => (Finding::NoSession, String::new(), None),
        };
        let refused = rejection.map(|rejection| {
            let context = RenderContext::of(&self.head);
            let response = self.policy.write(rejection, None, None, context);
            match malformed {
                None | Some(MalformedSession::Ambiguous) => response,
                Some(_) => expiring(response, extract.expiry(&self.head)),
            }
        });
        let inputs = json!({
            "session": {
                "id": null,
                "extractor": extract.describe(),
                "malformed": malformed.map(|why| why.to_string()),
            },
            "refused": refused.map(|response| self.response(None, &response, None)),
        });
        let origin = self.policy.replay.origin(&self.head);
        self.explanation(None, finding, &evidence, Vec::new(), &origin, inputs)
    }

    pub(super) fn of_session(&self, question: &Question, looked: Looked) -> Explanation {
        let Looked { cached, asked } = looked;
        let answered_from = self.answered_from(question, cached.as_ref(), &asked);
        let directory = self.reading(question, &asked);
        let cached = cached.map(|remembered| {
            let left = remembered.left();
            let mut reading = self.reading(question, &remembered.found);
            reading["cacheStatus"] = match answered_from {
                CacheStatus::Stale => json!(CacheStatus::Stale),
                _ => json!(CacheStatus::Hit),
            };
            reading["usable"] = json!(answered_from != CacheStatus::Miss);
            reading["usableForMs"] = milliseconds(left);
            reading
        });
        let platform = identity::detect();
        let decision = self.decide(question, &asked, true);
        let not_carried = match &decision {
            Decision::HandOver { session, owner } => self
                .policy
                .hand_over(&self.head, session, owner, &question.origin, PREVIEW)
                .err(),
            _ => None,
        };
        let case = Case {
            machine: &self.policy.machine,
            state: self.policy.sessions.node.state(),
            platform: platform.found().ok(),
            origin: &question.origin,
            came_through: self.policy.replay.came_through(&self.head),
            session: asked.session.as_ref().ok().and_then(Option::as_ref),
            decision: &decision,
            allowed: directory["guardAllows"] != json!(false),
            not_carried: not_carried.as_ref(),
        };
        let (finding, evidence) = case.find();
        let mut notes = case.notes(finding);
        notes.extend(note_on_cache(cached.as_ref(), &directory, answered_from));
        let inputs = json!({
            "session": {
                "id": Shown::new(Some(question.session.clone()), self.whole).id(),
                "extractor": self.policy.extract.describe(),
                "malformed": null,
            },
            "answeredFrom": answered_from,
            "cached": cached,
            "directory": directory,
        });
        let origin = &question.origin;
        self.explanation(Some(question), finding, &evidence, notes, origin, inputs)
    }

    fn explanation(
        &self,
        question: Option<&Question>,
        finding: Finding,
        evidence: &str,
        mut notes: Vec<String>,
        origin: &RequestOrigin,
        mut inputs: Value,
    ) -> Explanation {
        let policy = self.policy;
        let platform = identity::detect();
        let reached = policy.sessions.cache.last_reached();
        inputs["origin"] = origin_read(origin, policy.replay.came_through(&self.head));
        inputs["machine"] = json!({
            "id": policy.machine,
            "state": policy.sessions.node.state(),
            "platform": platform.found().ok().map(|found| json!({
                "name": found.platform(),
                "variable": found.variable(),
                "machine": found.machine_id(),
            })),
        });
        inputs["policy"] = json!({
            "claims": policy.claims.allows(&self.head),
            "takesOver": policy.takes_over.allows(&self.head),
            "maxHops": policy.max_hops,
            "lookupTimeoutMs": milliseconds(policy.sessions.cache.timeout()),
            "leaseTtlMs": policy.sessions.node.ttl().ttl,
            "guarded": policy.guard.is_some(),
        });
        inputs["reached"] = json!({
            "answeredMsAgo": reached.answered.map(milliseconds),
            "failedMsAgo": reached.failed.map(milliseconds),
        });
        let shown = Shown::new(
            question.map(|question| question.session.clone()),
            self.whole,
        );
        let owner = inputs["directory"]["session"]["owner"].as_str();
        let owner = owner.map(str::to_owned);
        shown.cut(&mut inputs);
        for note in &mut notes {
            *note = shown.text(note);
        }
        notes.extend(self.taken_out.iter().cloned());
        Explanation {
            finding,
            summary: shown.text(&finding.sentence("", owner.as_deref(), evidence)),
            next_step: finding.next_step(),
            notes,
            inputs,
        }
    }

    /// Which reading a request that came now would be judged by.
    fn answered_from(
        &self,
        question: &Question,
        cached: Option<&Remembered>,
        asked: &Found,
    ) -> CacheStatus {
        let doubt = question.origin.casts_doubt();
        let cache = &self.policy.sessions.cache;
        let usable = |cached: &&Remembered| {
            !cached.left().is_zero() && (!doubt || cache.is_recheck(cached.found.age))
        };
        // A corrupt row is no outage.
        let fails = asked
            .session
            .as_ref()
            .is_err_and(|error| error.kind() != LookupErrorKind::Corrupt);
        match cached {
            Some(cached) if usable(&cached) => CacheStatus::Hit,
            Some(cached) if !doubt && fails && cached.rescues() => CacheStatus::Stale,
            _ => CacheStatus::Miss,
        }
    }

    /// What the layer would decide by what was found; `lets_pass`: as if the guard allowed it.
    fn decide(&self, question: &Question, found: &Found, lets_pass: bool) -> Decision {
        let policy = self.policy;
        match &found.session {
            Ok(Some(session)) if lets_pass => {
                let lookup = Lookup::Known(Known {
                    session: session.clone(),
                    age: found.age,
                    allowed: true,
                    lease: self.lease(found, session),
                });
                let local = policy.local(&self.head, question, found.session.as_ref().ok());
                decide(lookup, &local, &question.origin)
            }
            _ => {
                let lease = |session: &_, _, _| self.lease(found, session);
                policy.decide(&self.head, question, found.clone(), lease)
            }
        }
    }

    fn lease(&self, found: &Found, session: &Session) -> Lease {
        let node = &self.policy.sessions.node;
        node.preview_lease(session, found.asked_at, found.cache_status)
    }

    fn reading(&self, question: &Question, found: &Found) -> Value {
        let policy = self.policy;
        let decision = self.decide(question, found, false);
        let (code, response) = self.answer(question, &decision);
        let session = found.session.as_ref().ok().and_then(Option::as_ref);
        let mine = session.filter(|session| policy.sessions.node.is_me(session.owner()));
        let guard = policy.guard.as_ref();
        json!({
            "cacheStatus": found.cache_status,
            "ageMs": milliseconds(found.age),
            "usable": true,
            "session": session.map(|session| session_read(session, found.age, mine.is_some())),
            "failure": found.session.as_ref().err().map(|error| json!({
                "kind": kind(error.kind()),
                "chain": causes(error),
            })),
            "guardAllows": session
                .map(|session| guard.is_none_or(|guard| guard(&self.head, session))),
            "lease": mine.map(|session| lease_read(self.lease(found, session))),
            "verdict": decision.verdict(),
            "code": code,
            "response": response,
        })
    }

    /// The code of a refusal, and the answer that would be sent. There is none where the application
    /// answers, or a claim decides.
    fn answer(&self, question: &Question, decision: &Decision) -> (Value, Value) {
        let (policy, session) = (self.policy, Some(question.session.clone()));
        let (rejection, owner) = match decision {
            Decision::Serve { .. } | Decision::Claim { .. } | Decision::End { .. } => {
                return (Value::Null, Value::Null);
            }
            Decision::HandOver { session: of, owner } => {
                match policy.hand_over(&self.head, of, owner, &question.origin, PREVIEW) {
                    Ok(response) => {
                        // The layer fills an empty body with this.
                        let unread = response.headers().get(http::header::LOCATION).is_none();
                        let machine = policy.machine.clone();
                        let read =
                            unread.then(|| Rejection::not_honoured(machine, response.status()));
                        let shown = self.response(session, &response, read.as_ref());
                        return (Value::Null, shown);
                    }
                    Err(rejection) => (rejection, Some(owner)),
                }
            }
            Decision::Reject(refusal) => {
                let owner = refusal.session.as_ref().and_then(Session::owner);
                (policy.rejection(refusal, question), owner)
            }
        };
        let code = json!(rejection.code());
        let context = RenderContext::of(&self.head);
        let mut response = policy.write(rejection, session.as_ref(), owner, context);
        if matches!(decision, Decision::Reject(refusal) if refusal.is_dead()) {
            response = expiring(response, policy.extract.expiry(&self.head));
        }
        (code, self.response(session, &response, None))
    }

    fn response(
        &self,
        session: Option<crate::SessionId>,
        response: &Response<bytes::Bytes>,
        read: Option<&Rejection>,
    ) -> Value {
        let rejection = read.or_else(|| response.extensions().get::<Rejection>());
        json!({
            "status": response.status().as_u16(),
            "headers": Shown::new(session, self.whole).headers(response.headers()),
            "code": rejection.map(Rejection::code),
            "title": rejection.map(|rejection| rejection.code().title()),
            "detail": rejection.map(Rejection::detail),
        })
    }
}
