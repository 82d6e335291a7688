//! Collecting what an explanation says.

use http::request::Parts;

use super::{
    Explanation, Finding, MachineRead, PlatformRead, PolicyRead, ReachedRead, SessionAsked,
    look::Look,
    notes::notes_on_cache,
    read::{arrival_read, milliseconds, response_shown},
    shown::Shown,
};
use crate::{
    LookupError, LookupErrorKind, MalformedSession, Reader, Rejection, Source,
    cache::Remembered,
    identity,
    policy::{Policy, Question},
};

impl Policy {
    /// Explains. Everything here goes by `&self` and by what leaves no trace.
    pub(super) async fn examine(&self, head: &Parts, whole: bool) -> Explanation {
        match self.question(head) {
            Ok(Some(question)) => self.examine_session(head, &question, whole).await,
            Ok(None) => self.without_session(
                head,
                Finding::NoSession,
                "The request is for no session, and passes to the application on every machine.",
            ),
            Err(malformed) => self.examine_malformed(head, malformed),
        }
    }

    async fn examine_session(&self, head: &Parts, question: &Question, whole: bool) -> Explanation {
        let look = Look {
            policy: self,
            head,
            question,
            shown: Shown::new(Some(question.session), whole),
        };
        // Before the directory is asked: a request that came now would find this.
        let cached = self.sessions.cache.remembered(question.session);
        let reached = self.reached_read();
        let asked = self
            .sessions
            .cache
            .ask_apart(question.session, self.sessions.cache.timeout())
            .await;
        let usable = cached.as_ref().is_some_and(|cached| look.may_use(cached));
        let doubt = question.arrival.casts_doubt();
        let rescued = !usable
            && !doubt
            && cached.as_ref().is_some_and(Remembered::rescues)
            && asked.session.as_ref().is_err_and(can_be_rescued);
        let answered_from = match (usable, rescued) {
            (true, _) => Source::Cache,
            (_, true) => Source::Stale,
            _ => Source::Lookup,
        };
        let directory = look.reading(&asked, answered_from == Source::Lookup, None);
        let remembered = cached.map(|mut cached| {
            if rescued {
                cached.found.source = Source::Stale;
            }
            let left = cached.left();
            look.reading(&cached.found, usable || rescued, Some(left))
        });
        let platform = identity::detect();
        let platform = platform.found().ok();
        let (finding, summary, mut notes) = look.find(&asked, &directory, platform);
        notes.extend(notes_on_cache(
            remembered.as_ref(),
            &directory,
            answered_from,
        ));
        Explanation {
            summary: look.shown.text(&summary),
            finding,
            notes: notes.iter().map(|note| look.shown.text(note)).collect(),
            session: SessionAsked {
                id: look.shown.id(),
                extractor: self.extract.describe().into_owned(),
                malformed: None,
            },
            arrival: arrival_read(&question.arrival, self.replay.came_through(head)),
            machine: self.machine_read(platform),
            policy: self.policy_read(head),
            answered_from: Some(answered_from),
            cached: remembered,
            directory: Some(directory),
            reached,
            refused: None,
        }
    }

    fn examine_malformed(&self, head: &Parts, malformed: MalformedSession) -> Explanation {
        let summary = format!("The session of the request cannot be read: {malformed}.");
        let rejection = Rejection::malformed(self.machine.clone(), malformed);
        let response = self.write(rejection, None, None, Reader::of(head));
        let mut explanation = self.without_session(head, Finding::SessionMalformed, &summary);
        explanation.session.malformed = Some(malformed.to_string());
        explanation.refused = Some(response_shown(Shown::new(None, false), &response, None));
        explanation
    }

    fn without_session(&self, head: &Parts, finding: Finding, summary: &str) -> Explanation {
        let reached = self.reached_read();
        Explanation {
            summary: summary.to_owned(),
            finding,
            notes: Vec::new(),
            session: SessionAsked {
                id: None,
                extractor: self.extract.describe().into_owned(),
                malformed: None,
            },
            arrival: arrival_read(&self.replay.arrival(head), self.replay.came_through(head)),
            machine: self.machine_read(identity::detect().found().ok()),
            policy: self.policy_read(head),
            answered_from: None,
            cached: None,
            directory: None,
            reached,
            refused: None,
        }
    }

    fn machine_read(&self, platform: Option<&identity::Found>) -> MachineRead {
        MachineRead {
            id: self.machine.clone(),
            state: self.sessions.node.state(),
            platform: platform.map(|found| PlatformRead {
                name: found.platform(),
                variable: found.variable(),
                machine: found.machine_id().clone(),
            }),
        }
    }

    fn reached_read(&self) -> ReachedRead {
        let last = self.sessions.cache.last_reached();
        ReachedRead {
            answered_ms_ago: last.answered.map(milliseconds),
            failed_ms_ago: last.failed.map(milliseconds),
        }
    }

    fn policy_read(&self, head: &Parts) -> PolicyRead {
        PolicyRead {
            claims: self.claims.allows(head),
            takes_over: self.takes_over.allows(head),
            max_hops: self.max_hops,
            lookup_timeout_ms: milliseconds(self.sessions.cache.timeout()),
            lease_ttl_ms: self.sessions.node.ttl().ttl,
            guarded: self.guard.is_some(),
        }
    }
}

/// A corrupt row is no outage.
fn can_be_rescued(error: &LookupError) -> bool {
    error.kind() != LookupErrorKind::Corrupt
}
