//! Sessions that the application creates, and ends, in its responses.

use std::fmt;

use bytes::Bytes;
use http::{Request, Response, response};

use super::Policy;
use crate::{
    Head, LookupErrorKind, MalformedSession, Observed, Rejection, RejectionCode, RenderContext,
    SessionId, Verdict,
    directory::NewSession,
    extract::ExtractNewSession,
    observe::RequestSpan,
    ownership::{RegisterError, Registrar},
};

/// Completes what a new session is registered with, from the head of the response.
pub(crate) type Complete = dyn Fn(NewSession, &response::Parts) -> NewSession + Send + Sync;

/// Where responses give out new sessions, and what becomes of those.
#[derive(Default)]
pub(crate) struct Births {
    pub(crate) places: Vec<Box<dyn ExtractNewSession>>,
    pub(crate) complete: Option<Box<Complete>>,
    /// Whether requests that pass carry the registrar.
    pub(crate) tells_registrar: bool,
    /// There is one where there is a directory.
    pub(crate) registrar: Option<Registrar>,
}

impl Births {
    /// Whether responses have to be looked at.
    #[inline]
    pub(crate) fn are_looked_for(&self) -> bool {
        !self.places.is_empty()
    }

    /// Whether the request ends its session, if it is answered with 2xx.
    pub(crate) fn ends(&self, head: &Head<'_>) -> bool {
        self.places.iter().any(|place| place.ends_session(head))
    }

    /// The session that a response gives out.
    fn new_session(&self, head: &response::Parts) -> Result<Option<SessionId>, MalformedSession> {
        let mut found = None;
        for place in &self.places {
            match (&found, place.new_session(head)?) {
                (_, None) => {}
                (Some(one), Some(other)) if *one != other => {
                    return Err(MalformedSession::Ambiguous);
                }
                (_, Some(id)) => found = Some(id),
            }
        }
        Ok(found)
    }
}

impl Policy {
    /// Puts the registrar where a handler finds it.
    #[inline]
    pub(crate) fn tell_registrar<B>(&self, request: &mut Request<B>) {
        if self.births.tells_registrar
            && let Some(registrar) = &self.births.registrar
        {
            request.extensions_mut().insert(registrar.clone());
        }
    }

    /// What has to be registered before the response may leave; `None`: nothing. `of`: the session
    /// that the request was for.
    pub(crate) fn born(
        &self,
        head: &response::Parts,
        of: Option<&SessionId>,
    ) -> Result<Option<(Registrar, NewSession)>, RegisterError> {
        let Some(registrar) = &self.births.registrar else {
            return Ok(None);
        };
        let not_an_id = |_| RegisterError::NotAnId;
        let Some(id) = self.births.new_session(head).map_err(not_an_id)? else {
            return Ok(None);
        };
        let id = self.ids.admit(id).ok_or(RegisterError::NotAnId)?;
        if of == Some(&id) {
            return Ok(None);
        }
        let new = NewSession::new(id);
        let new = match &self.births.complete {
            Some(complete) => complete(new, head),
            None => new,
        };
        Ok(Some((registrar.clone(), new)))
    }

    /// Answers in the place of a response whose session could not be registered.
    pub(crate) fn unregistered(
        &self,
        id: Option<&SessionId>,
        error: &RegisterError,
        context: RenderContext,
    ) -> Response<Bytes> {
        let detail = match error {
            RegisterError::NotAnId => {
                "A session was created with an id that no session here can have."
            }
            RegisterError::Taken(_) => {
                "A session was created with the id of one that lives on another machine."
            }
            RegisterError::NotServing(_) => {
                "A session was created on a machine that is about to stop."
            }
            RegisterError::Failed(error) if error.kind() == LookupErrorKind::Timeout => {
                "A session was created, and the session directory did not confirm it in time."
            }
            _ => RejectionCode::SessionUnregistered.entry().detail,
        };
        let machine = self.machine.clone();
        let rejection = Rejection::new(RejectionCode::SessionUnregistered, machine, detail);
        let failed = match error {
            RegisterError::Failed(error) => Some(error),
            _ => None,
        };
        let seen = Observed {
            session: id,
            error: failed,
            ..self.saw(Verdict::Reject(rejection.code()))
        };
        // The client was not told the id, and is not told it now.
        self.tell_of_refusal(&rejection, &seen, &RequestSpan::default());
        self.write(rejection, None, None, context)
    }
}

impl fmt::Debug for Births {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let places: Vec<_> = self.places.iter().map(|place| place.describe()).collect();
        f.debug_struct("Births")
            .field("places", &places)
            .finish_non_exhaustive()
    }
}
