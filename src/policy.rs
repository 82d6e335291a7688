//! Everything that a layer was built with, and what it says to one request.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, Response, header, request::Parts};

use crate::{
    Arrival, Code, ExtractSession, Handover, LookupError, MachineId, MalformedSession, Observe,
    Observed, Owned, Reader, Record, Rejection, Render, Replay, Session, SessionId, Verdict,
    cache::{Cache, Found, Pending},
    decide,
};

/// Says whether this request may come near this session.
pub(crate) type Guard = dyn Fn(&Parts, &Session) -> bool + Send + Sync;

/// One per layer, shared by all services that it makes and all requests that they see.
pub(crate) struct Policy {
    pub(crate) machine: MachineId,
    pub(crate) extract: Box<dyn ExtractSession>,
    pub(crate) cache: Arc<Cache>,
    pub(crate) guard: Option<Box<Guard>>,
    pub(crate) replay: Box<dyn Replay>,
    pub(crate) max_hops: u8,
    /// Whether handlers find `Owned` in the request's extensions.
    pub(crate) tells_owned: bool,
    pub(crate) render: Box<dyn Render>,
    pub(crate) observe: Option<Box<dyn Observe>>,
}

/// A request's question: which session, and how the request came here.
#[derive(Debug)]
pub(crate) struct Question {
    pub(crate) session: SessionId,
    pub(crate) arrival: Arrival,
}

/// What is to be done.
pub(crate) enum Act {
    Pass(Owned),
    Answer(Response<Bytes>),
}

impl Policy {
    /// What the request asks for; `None` if it is for no session.
    pub(crate) fn question(&self, head: &Parts) -> Result<Option<Question>, MalformedSession> {
        let session = self.extract.session(head)?;
        Ok(session.map(|session| Question {
            session,
            arrival: self.replay.arrival(head),
        }))
    }

    /// What is known already and may be used for this request.
    pub(crate) fn known(&self, question: &Question) -> Option<Found> {
        self.cache
            .get(question.session, question.arrival.casts_doubt())
    }

    /// Asks for what is not.
    pub(crate) fn look_up(&self, question: &Question) -> Pending {
        self.cache
            .load(question.session, question.arrival.casts_doubt())
    }

    /// Decides, and writes the answer where the application does not.
    pub(crate) fn judge(&self, head: &Parts, question: &Question, found: Found) -> Act {
        let arrival = &question.arrival;
        let record = match &found.session {
            Err(error) => Record::Failed(error.kind()),
            Ok(None) => Record::Unknown,
            Ok(Some(session)) => {
                let allowed = self.guard.as_ref().is_none_or(|guard| guard(head, session));
                Record::known(session, found.age, allowed)
            }
        };
        let verdict = decide(record, &self.machine, arrival, self.max_hops);
        let seen = Observed {
            session: Some(question.session),
            arrival,
            source: Some(found.source),
            age: Some(found.age),
            ..self.saw(verdict)
        };
        match (verdict, found.session) {
            (Verdict::Pass, Ok(Some(session))) => {
                self.tell(&Observed {
                    owner: session.owner(),
                    ..seen
                });
                Act::Pass(Owned::new(session))
            }
            (Verdict::Replay, Ok(Some(session))) => {
                let seen = Observed {
                    owner: session.owner(),
                    ..seen
                };
                Act::Answer(match self.hand_over(head, &session, arrival) {
                    Ok(response) => {
                        self.tell(&seen);
                        response
                    }
                    Err(rejection) => self.refuse(rejection, &seen, Reader::of(head)),
                })
            }
            (verdict, session) => {
                let code = match verdict {
                    Verdict::Reject(code) => code,
                    // `decide` passes and replays only what is known. Should that ever break, refuse.
                    Verdict::Pass | Verdict::Replay => Code::LookupUnavailable,
                };
                let (owner, error) = match &session {
                    Ok(session) => (session.as_ref().and_then(Session::owner), None),
                    Err(error) => (None, Some(error)),
                };
                let failed = error.map(LookupError::kind);
                let rejection = Rejection::of(code, self.machine.clone(), owner, arrival, failed);
                let seen = Observed {
                    owner,
                    error,
                    ..seen
                };
                Act::Answer(self.refuse(rejection, &seen, Reader::of(head)))
            }
        }
    }

    fn hand_over(
        &self,
        head: &Parts,
        session: &Session,
        arrival: &Arrival,
    ) -> Result<Response<Bytes>, Rejection> {
        let machine = &self.machine;
        let Some(owner) = session.owner() else {
            // `decide` replays only what has an owner. Should that ever break, refuse.
            let code = Code::SessionStarting;
            return Err(Rejection::of(code, machine.clone(), None, arrival, None));
        };
        let replay = self
            .replay
            .replay(head, &Handover::new(session, owner, machine, arrival))
            .map_err(|why| Rejection::not_replayable(machine.clone(), why))?;
        let reader = Reader::of(head);
        let (written, body) = replay.into_parts();
        let mut response = if body.is_empty() && !written.headers.contains_key(header::LOCATION) {
            let rejection = Rejection::not_honoured(machine.clone(), written.status);
            self.render
                .render(&rejection.for_session(session.id(), Some(owner)), reader)
        } else {
            let mut response = Response::new(body);
            *response.status_mut() = written.status;
            response
        };
        response.headers_mut().extend(written.headers);
        response.extensions_mut().extend(written.extensions);
        Ok(finish(response, reader))
    }

    /// Answers a request whose session id cannot be read.
    pub(crate) fn malformed(&self, head: &Parts, malformed: MalformedSession) -> Response<Bytes> {
        let rejection = Rejection::malformed(self.machine.clone(), malformed);
        let seen = self.saw(Verdict::Reject(rejection.code()));
        self.refuse(rejection, &seen, Reader::of(head))
    }

    /// Answers in the place of an application that does not hold a session it should hold.
    pub(crate) fn absent(&self, session: SessionId, reader: Reader) -> Response<Bytes> {
        let machine = self.machine.clone();
        let rejection = Rejection::of(Code::SessionAbsent, machine, None, &Arrival::Fresh, None);
        let seen = Observed {
            session: Some(session),
            owner: Some(&self.machine),
            ..self.saw(Verdict::Reject(rejection.code()))
        };
        self.refuse(rejection, &seen, reader)
    }

    /// Notes a request that is for no session.
    pub(crate) fn pass_without_session(&self) {
        self.tell(&self.saw(Verdict::Pass));
    }

    /// What is seen of any request.
    fn saw(&self, verdict: Verdict) -> Observed<'_> {
        Observed {
            verdict,
            session: None,
            owner: None,
            machine: &self.machine,
            arrival: &Arrival::Fresh,
            source: None,
            age: None,
            detail: None,
            error: None,
        }
    }

    fn tell(&self, seen: &Observed<'_>) {
        seen.emit();
        if let Some(observe) = &self.observe {
            observe.observe(seen);
        }
    }

    /// Tells of a refusal and writes it.
    fn refuse(&self, rejection: Rejection, seen: &Observed<'_>, reader: Reader) -> Response<Bytes> {
        self.tell(&Observed {
            verdict: Verdict::Reject(rejection.code()),
            detail: Some(rejection.detail()),
            ..*seen
        });
        let rejection = match seen.session {
            Some(session) => rejection.for_session(session, seen.owner),
            None => rejection,
        };
        let mut response = self.render.render(&rejection, reader);
        response.extensions_mut().insert(rejection);
        finish(response, reader)
    }
}

/// What holds for every answer of ours, whoever wrote it: it is about this moment and this
/// machine, so nobody may keep it, and HEAD has no body.
fn finish(mut response: Response<Bytes>, reader: Reader) -> Response<Bytes> {
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if reader.head_only {
        response.body_mut().clear();
    }
    response
}
