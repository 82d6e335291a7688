//! Which of several sessions a request is for.

use http::request::Parts;

use super::{
    Policy, Question,
    refused::{Read, Refused, Why},
};
use crate::{Head, MalformedSession, RejectionCode, SessionId, cache::Found, decision::Refusal};

/// One of several sessions that a request names.
pub(crate) struct Candidate {
    /// As it is written there.
    id: SessionId,
    /// `None` if no session of the directory can have this id.
    pub(crate) question: Option<Question>,
}

/// What was taken out of the request: all but one, or all.
pub(crate) struct Chosen {
    pub(crate) taken_out: Vec<Why>,
    /// If it was all: why the request is refused, unless it may do without a session.
    pub(crate) none_lives: Option<Refused>,
}

/// What the directory says of one.
enum Standing {
    Alive(SessionId),
    Dead(Why),
    Failed(Why),
}

impl Policy {
    pub(crate) fn candidates(&self, head: &Head<'_>, ids: Vec<SessionId>) -> Vec<Candidate> {
        let origin = self.replay.origin(head);
        let candidate = |id: SessionId| Candidate {
            question: self.ids.admit(id.clone()).map(|session| Question {
                session,
                origin: origin.clone(),
                claimed: false,
            }),
            id,
        };
        ids.into_iter().map(candidate).collect()
    }

    /// Takes out of the request all sessions but the one that lives. `Err`: it has to be refused, for
    /// two of them live, or the directory does not say which.
    pub(crate) fn choose(
        &self,
        head: &mut Parts,
        candidates: Vec<(Candidate, Option<Found>)>,
    ) -> Result<Chosen, Box<Refused>> {
        let (mut alive, mut dead, mut failed) = (None, Vec::new(), None);
        for (Candidate { id, question }, found) in candidates {
            match standing(question, found) {
                Standing::Dead(why) => dead.push((id, why)),
                Standing::Failed(why) => {
                    failed.get_or_insert(why);
                }
                Standing::Alive(session) => match &alive {
                    None => alive = Some(session),
                    // One session in two spellings: one of them is enough.
                    Some(other) if *other == session => {
                        let why = Why::Malformed(MalformedSession::Ambiguous);
                        dead.push((id, why));
                    }
                    Some(_) => return Err(Box::new(Refused::ambiguous())),
                },
            }
        }
        if let Some(why) = failed {
            return Err(Box::new(Refused::without_expiry(why)));
        }
        let expiry = self.extract.expiry(&Head::from(&*head)).to_vec();
        let mut taken_out = Vec::new();
        for (id, why) in dead {
            if !self.forget(head, Some(&id)) {
                return Err(Box::new(Refused::ambiguous()));
            }
            taken_out.push(why);
        }
        let none_lives = if alive.is_some() {
            None
        } else {
            let why = taken_out.first().cloned();
            why.map(|why| Refused { why, expiry })
        };
        Ok(Chosen {
            taken_out,
            none_lives,
        })
    }
}

/// Not [`Policy::decide`]: only whether it lives matters here, and the living one is decided about
/// when the request is read again.
fn standing(question: Option<Question>, found: Option<Found>) -> Standing {
    let (Some(question), Some(found)) = (question, found) else {
        return Standing::Dead(Why::Malformed(MalformedSession::NotAnId));
    };
    let read = Read::of(&found);
    match found.session {
        Ok(Some(session)) if !session.is_over(found.age) => Standing::Alive(question.session),
        Ok(session) => {
            let code = match session {
                Some(_) => RejectionCode::SessionOver,
                None => RejectionCode::SessionUnknown,
            };
            Standing::Dead(Why::judged(question, Refusal::of(code, session), read))
        }
        Err(error) => Standing::Failed(Why::judged(question, Refusal::failed(error), read)),
    }
}
