//! Reading a request as the layer does, which takes dead sessions out of it.

use futures_util::future::join_all;
use http::request::Parts;

use super::{Explanation, examine::Examined, looked::Looked};
use crate::{
    Head, MalformedSession, RejectionCode, SessionId,
    decision::Decision,
    extract::MAX_CANDIDATES,
    policy::{Policy, Question, ROUNDS, Read, Why},
};

/// A request as the layer reads it next.
struct Reading<'a> {
    policy: &'a Policy,
    whole: bool,
    head: Parts,
    notes: Vec<String>,
    /// What was taken out first, and the request before: it decides where a session is required.
    first: Option<(Parts, Why)>,
}

/// What the request named in the end.
enum Named {
    Session(Question, Box<Looked>),
    Malformed(MalformedSession),
    Nothing,
}

/// Explains a request. Each session that it names costs the directory one lookup.
pub(super) async fn explain(policy: &Policy, head: &Parts, whole: bool) -> Explanation {
    let mut reading = Reading {
        policy,
        whole,
        head: head.clone(),
        notes: Vec::new(),
        first: None,
    };
    let named = reading.read().await;
    let Reading {
        head, notes, first, ..
    } = reading;
    let examined = |head| Examined {
        policy,
        head,
        whole,
        taken_out: notes,
    };
    match (named, first) {
        (Named::Nothing, Some((head, why))) if policy.searches.are_required => match why {
            Why::Malformed(malformed) => examined(Head::from(&head)).of_no_session(Some(malformed)),
            Why::Judged { question, .. } => {
                let looked = Looked::at(policy, &question).await;
                examined(Head::from(&head)).of_session(&question, looked)
            }
        },
        (Named::Session(question, looked), _) => {
            examined(Head::from(&head)).of_session(&question, *looked)
        }
        (Named::Malformed(malformed), _) => {
            examined(Head::from(&head)).of_no_session(Some(malformed))
        }
        (Named::Nothing, _) => examined(Head::from(&head)).of_no_session(None),
    }
}

impl Reading<'_> {
    fn head(&self) -> Head<'_> {
        Head::from(&self.head)
    }

    async fn read(&mut self) -> Named {
        let mut malformed = MalformedSession::Ambiguous;
        for _ in 0..ROUNDS {
            malformed = match self.policy.named(&self.head()) {
                Ok(None) => return Named::Nothing,
                Ok(Some(id)) => {
                    let question = self.policy.question(&self.head(), id);
                    let looked = Looked::at(self.policy, &question).await;
                    if !self.takes_out(&question, &looked) {
                        return Named::Session(question, Box::new(looked));
                    }
                    continue;
                }
                Err(malformed) => malformed,
            };
            let goes_on = match malformed {
                MalformedSession::Ambiguous => self.tells_apart().await,
                _ => self.take_out(Why::Malformed(malformed)),
            };
            if !goes_on {
                break;
            }
        }
        Named::Malformed(malformed)
    }

    /// Takes the session out if it is dead and its place allows that.
    fn takes_out(&mut self, question: &Question, looked: &Looked) -> bool {
        let node = &self.policy.sessions.node;
        let asked = looked.asked.clone();
        let lease = |session: &_, read_at, status| node.preview_lease(session, read_at, status);
        match self.policy.decide(&self.head(), question, asked, lease) {
            Decision::Reject(refusal) if refusal.is_dead() => {
                let read = Read::of(&looked.asked);
                self.take_out(Why::judged(question.clone(), refusal, read))
            }
            _ => false,
        }
    }

    fn take_out(&mut self, why: Why) -> bool {
        let before = self.head.clone();
        let (is_out, _) = self.policy.take_out(&mut self.head);
        if is_out {
            self.note(&why);
            self.first.get_or_insert((before, why));
        }
        is_out
    }

    /// Takes out all sessions but the one that lives.
    async fn tells_apart(&mut self) -> bool {
        let policy = self.policy;
        let ids = policy.extract.candidates(&self.head());
        if !(2..=MAX_CANDIDATES).contains(&ids.len()) {
            return false;
        }
        let candidates = policy.candidates(&self.head(), ids);
        let asked = join_all(candidates.into_iter().map(async |candidate| {
            let asked = match &candidate.question {
                Some(question) => Some(Looked::at(policy, question).await.asked),
                None => None,
            };
            (candidate, asked)
        }));
        let asked = asked.await;
        let before = self.head.clone();
        let Ok(chosen) = policy.choose(&mut self.head, asked) else {
            return false;
        };
        for why in &chosen.taken_out {
            self.note(why);
        }
        if let Some(refused) = chosen.none_lives {
            self.first.get_or_insert((before, refused.why));
        }
        true
    }

    fn note(&mut self, why: &Why) {
        let (code, session) = why.code();
        let shown = |id: &SessionId| {
            if self.whole {
                id.encoded()
            } else {
                format!("…{}", id.short())
            }
        };
        let place = self.policy.extract.describe();
        let what = match (code, session) {
            (RejectionCode::SessionOver, Some(id)) => {
                format!(
                    "the session {}, which is over ({})",
                    shown(id),
                    code.as_str()
                )
            }
            (_, Some(id)) => format!(
                "the session {}, which is unknown ({})",
                shown(id),
                code.as_str()
            ),
            (_, None) if matches!(why, Why::Malformed(MalformedSession::Ambiguous)) => {
                "another spelling of the session".to_owned()
            }
            (_, None) => format!("a value that cannot be an id ({})", code.as_str()),
        };
        self.notes.push(format!(
            "The layer takes {what} out of the request, and goes on as if it had not been sent. It \
             looked in {place}."
        ));
    }
}
