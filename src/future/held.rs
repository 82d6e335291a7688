//! A response that is held back until the directory knows what it tells.

use std::{future::Future, pin::Pin};

use bytes::Bytes;
use http::{Response, response::Parts};
use tracing::warn;

use super::passed::{Passed, Served};
use super::streamed::delivered;
use crate::{Owned, ResponseBody, observe::Chain, ownership::RegisterError};

/// A response that may not leave yet.
pub(super) struct Held<T> {
    pub(super) writing: Writing,
    pub(super) response: T,
    pub(super) watched: Option<Owned>,
}

/// Returns the answer that takes the response's place, if one does.
type Writing = Pin<Box<dyn Future<Output = Option<Response<Bytes>>> + Send>>;

impl<R> Held<Response<R>> {
    /// Holds the response back if it creates or ends a session.
    #[cold]
    pub(super) fn if_it_has_to(
        response: Response<R>,
        mut passed: Passed,
    ) -> Result<Response<ResponseBody<R>>, Box<Self>> {
        let watched = passed.take_watched();
        let (head, body) = response.into_parts();
        let writing = passed.writing(&head);
        let response = Response::from_parts(head, body);
        match writing {
            Some(writing) => Err(Box::new(Self {
                writing,
                response,
                watched,
            })),
            None => Ok(delivered(response, watched)),
        }
    }
}

impl Passed {
    /// What has to be written before the response may leave.
    fn writing(self, head: &Parts) -> Option<Writing> {
        let (policy, context) = (self.policy().clone(), self.context()?);
        let session = self.session();
        match policy.born(head, session) {
            Ok(None) => {}
            Ok(Some((registrar, new))) => {
                return Some(Box::pin(async move {
                    let id = new.id.clone();
                    // A previous owner's lease keeps this machine waiting, and nothing else.
                    match registrar.register_born(new).await {
                        Ok(_) | Err(RegisterError::Pending { .. }) => None,
                        Err(error) => Some(policy.unregistered(Some(&id), &error, context)),
                    }
                }));
            }
            Err(error) => {
                return Some(Box::pin(async move {
                    Some(policy.unregistered(None, &error, context))
                }));
            }
        }
        let Self::Served(Served { session, more, .. }) = self else {
            return None;
        };
        let epoch = more?.after?.ends_at?;
        if !head.status.is_success() {
            return None;
        }
        let registrar = policy.births.registrar.clone()?;
        Some(Box::pin(async move {
            if let Err(error) = registrar.end_at(&session, epoch).await {
                warn!(
                    target: "tower_ownership::layer",
                    session_id = %session.short(),
                    cause = %Chain(&error),
                    "the application ended a session, and the directory could not be told"
                );
            }
            None
        }))
    }
}
