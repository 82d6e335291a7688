//! A request that is read more than once.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::future::join_all;
use http::{Response, request::Parts};
use tracing::Instrument as _;

use super::{Act, Policy, Question, Refused, Unsettled};
use crate::{
    Head, RenderContext, SessionId,
    cache::{Found, Pending},
    observe::RequestSpan,
    ownership::Grant,
};

/// How often a request is read again. Each time something was taken out of it, and an extractor
/// of several places has up to three reasons for each of them.
pub(crate) const ROUNDS: usize = 12;

/// What becomes of a request that was read again.
pub(crate) enum Settled {
    /// It passes as one without a session. Should its handler need one, this is why it has none.
    WithoutSession(Option<Refused>),
    Pass(Grant, RequestSpan),
    Answer(Response<Bytes>),
    /// It is carried to its owner.
    #[cfg(feature = "forward")]
    Carry,
}

impl Policy {
    /// Reads the request again until it names a session that is not dead, or none.
    pub(crate) async fn settle(
        self: Arc<Self>,
        mut head: Parts,
        unsettled: Box<Unsettled>,
    ) -> (Parts, Settled) {
        let settled = self.settle_in(&mut head, *unsettled).await;
        (head, settled)
    }

    async fn settle_in(&self, head: &mut Parts, mut unsettled: Unsettled) -> Settled {
        // What decides about a request that may not do without a session: the first place.
        let mut first = None;
        // For lookups of what was taken out.
        let mut waited = None;
        for _ in 0..ROUNDS {
            let taken_out = match unsettled {
                Unsettled::TakenOut(refused) => {
                    waited = sum(waited, refused.why.waited());
                    Some(refused)
                }
                Unsettled::Twins(ids) => match self.tell_apart(head, ids, &mut waited).await {
                    Ok(none_lives) => none_lives,
                    Err(refused) => {
                        let response = self.refuse_again(&refused, &Head::from(&*head));
                        return Settled::Answer(response);
                    }
                },
            };
            first = first.or(taken_out);
            let (act, span) = match self.named(&Head::from(&*head)) {
                Ok(Some(id)) => {
                    let question = self.question(&Head::from(&*head), id);
                    self.answer(head, question, waited.take()).await
                }
                Ok(None) => return self.without_session(&Head::from(&*head), first),
                Err(malformed) => {
                    let answer = self.malformed(head, malformed);
                    (Act::Answer(answer), RequestSpan::default())
                }
            };
            unsettled = match act {
                Act::Pass(grant) => return Settled::Pass(grant, span),
                Act::Answer(Ok(response)) => return Settled::Answer(response),
                Act::Answer(Err(unsettled)) => *unsettled,
                Act::Claim(_) => break,
                #[cfg(feature = "forward")]
                Act::Carry => return Settled::Carry,
            };
        }
        // An extractor that takes out what it still reads. The application could read it as well.
        let refused = first.unwrap_or_else(Refused::ambiguous);
        Settled::Answer(self.refuse_again(&refused, &Head::from(&*head)))
    }

    fn refuse_again(&self, refused: &Refused, head: &Head<'_>) -> Response<Bytes> {
        self.refuse_late(refused, Some(head), RenderContext::of(head))
    }

    /// The request names no session, now that some were taken out.
    fn without_session(&self, head: &Head<'_>, taken_out: Option<Refused>) -> Settled {
        match taken_out {
            Some(refused) if self.searches.are_required => {
                Settled::Answer(self.refuse_again(&refused, head))
            }
            None if self.searches.are_required => {
                Settled::Answer(self.missing(Some(head), RenderContext::of(head)))
            }
            taken_out => Settled::WithoutSession(taken_out),
        }
    }

    /// Takes out all sessions but the one that lives. All are looked up at once, each for no longer
    /// than the layer's time limit.
    async fn tell_apart(
        &self,
        head: &mut Parts,
        ids: Vec<SessionId>,
        waited: &mut Option<Duration>,
    ) -> Result<Option<Refused>, Box<Refused>> {
        let candidates = self.candidates(&Head::from(&*head), ids);
        let found = join_all(candidates.into_iter().map(async |candidate| {
            let found = match &candidate.question {
                Some(question) => Some(self.find(question, &RequestSpan::default()).await),
                None => None,
            };
            (candidate, found)
        }));
        let found = found.await;
        let waits = found.iter().filter_map(|(_, found)| found.as_ref()?.waited);
        *waited = sum(*waited, waits.max());
        let chosen = self.choose(head, found)?;
        for why in &chosen.taken_out {
            self.tell_taken_out(why);
        }
        Ok(chosen.none_lives)
    }

    /// What becomes of a request for this session. Never [`Act::Claim`].
    async fn answer(
        &self,
        head: &mut Parts,
        mut question: Question,
        waited: Option<Duration>,
    ) -> (Act, RequestSpan) {
        let span = self.span(&question);
        let mut found = self.find(&question, &span).await;
        found.waited = sum(waited, found.waited);
        loop {
            match self.judge(head, &question, found, &span) {
                Act::Claim(claim) => {
                    question.claimed = true;
                    found = wait(claim, &span).await;
                }
                act => return (act, span),
            }
        }
    }

    async fn find(&self, question: &Question, span: &RequestSpan) -> Found {
        let hit = self.sessions.cache.hit(&question.session);
        match self.known(question, hit) {
            Some(found) => found,
            None => wait(self.look_up(question), span).await,
        }
    }
}

async fn wait(pending: Pending, span: &RequestSpan) -> Found {
    match span.get() {
        Some(span) => pending.instrument(span.clone()).await,
        None => pending.await,
    }
}

fn sum(one: Option<Duration>, other: Option<Duration>) -> Option<Duration> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one + other),
        (one, other) => one.or(other),
    }
}
