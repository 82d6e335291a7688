//! Registering sessions that are born on this machine.

use std::{fmt, future::Future, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_timer::Delay;
use futures_util::{
    FutureExt,
    future::{Either, select},
};

use super::{Grant, Lease, Sessions, events};
use crate::{
    CacheStatus, LookupError, NodeState, Owned, Session, SessionId,
    cache::Answer,
    directory::{Created, DynDirectory, EndIf, NewSession},
};

/// Registers sessions that are born on this machine in the directory.
///
/// A layer puts it into the extensions of requests that pass
/// ([`insert_registrar`](crate::OwnershipLayerBuilder::insert_registrar)), and
/// [`OwnershipLayer::registrar`](crate::OwnershipLayer::registrar) returns it. It is for ids that stand
/// where the layer does not look: in a body, a gRPC message, the name of a WebSocket's room. Ids in
/// headers, cookies and `Location` can be
/// [registered by the layer](crate::OwnershipLayerBuilder::registers).
///
/// ```
/// use tower_ownership::{SessionId, ownership::{Registrar, RegisterError}};
///
/// async fn create_room(registrar: Registrar, name: &str) -> Result<String, RegisterError> {
///     let id = SessionId::parse(name).map_err(|_| RegisterError::NotAnId)?;
///     // The row is there before the client learns the id.
///     let owned = registrar.register(id).await?;
///     Ok(format!("/session/{}", owned.id()))
/// }
/// ```
///
/// Its future may be dropped at any time; then the session may have been registered all the same.
#[derive(Clone)]
pub struct Registrar {
    sessions: Arc<Sessions>,
    directory: DynDirectory,
}

/// Why a session was not registered.
#[derive(Clone, thiserror::Error)]
#[non_exhaustive]
pub enum RegisterError {
    /// The text is not the id of any session.
    #[error("the id cannot be that of a session here")]
    NotAnId,
    /// A session of this id lives already, on this machine or another, and was left as it is.
    #[error("a session of this id lives already")]
    Taken(Session),
    /// It is registered, but a previous owner of the same id may be serving it for so long. Requests
    /// for it are refused with `session-moving` until then.
    #[error("a previous owner of this id may still serve it for {} ms", .retry_in.as_millis())]
    Pending {
        /// The time until then.
        retry_in: Duration,
    },
    /// This machine may not serve, so it registers nothing.
    #[error("this machine does not serve now: it is {}", .0.as_str())]
    NotServing(NodeState),
    /// The directory could not write it.
    #[error("the session directory could not write the session")]
    Failed(#[source] LookupError),
}

crate::observe::debug_as_chain!(RegisterError);

impl Registrar {
    pub(crate) fn new(sessions: Arc<Sessions>, directory: DynDirectory) -> Self {
        Self {
            sessions,
            directory,
        }
    }

    /// Registers a new session of this machine, within the lookup timeout.
    ///
    /// This machine's cache knows the session when it returns, so the first request for it needs no
    /// lookup.
    pub async fn register(&self, new: impl Into<NewSession>) -> Result<Owned, RegisterError> {
        self.create(new.into(), false).await
    }

    /// The same for an id that the application has given out. One that this machine owns already is
    /// fine: the application told of it twice, or registered it by itself.
    pub(crate) async fn register_born(&self, new: NewSession) -> Result<Owned, RegisterError> {
        self.create(new, true).await
    }

    /// Ends a session, if this machine still owns it at the same epoch. Returns whether it did.
    pub async fn end(&self, owned: &Owned) -> Result<bool, LookupError> {
        self.end_at(owned.id(), owned.owned_epoch()).await
    }

    pub(crate) async fn end_at(&self, id: &SessionId, epoch: u64) -> Result<bool, LookupError> {
        let machine = self.sessions.node.machine().clone();
        let ending = self
            .directory
            .end(id.clone(), EndIf::Owner { machine, epoch });
        let ended = self.in_time(ending).await;
        self.sessions.forget(id);
        let is_ended = ended?.is_some();
        if is_ended {
            events::ended(self.sessions.node.machine(), id, epoch);
        }
        Ok(is_ended)
    }

    /// Puts off a session's expiry. What is known of it is read again, with the new one.
    pub(super) async fn touch(
        &self,
        id: &SessionId,
        epoch: u64,
        lifetime: Duration,
    ) -> Result<bool, LookupError> {
        let machine = self.sessions.node.machine().clone();
        let touching = self.directory.touch(id.clone(), machine, epoch, lifetime);
        let touched = self.in_time(touching).await?;
        self.sessions.forget(id);
        Ok(touched)
    }

    async fn create(&self, mut new: NewSession, may_be_mine: bool) -> Result<Owned, RegisterError> {
        let (cache, node) = (&self.sessions.cache, &self.sessions.node);
        let id = cache.session_ids().admit(new.id);
        new.id = id.ok_or(RegisterError::NotAnId)?;
        let state = node.state();
        if state != NodeState::Serving {
            return Err(RegisterError::NotServing(state));
        }
        let read_at = cache.clock().stamp();
        let creating = self.directory.create(new, node.machine().clone());
        let created = self
            .in_time(creating)
            .await
            .map_err(RegisterError::Failed)?;
        let (session, is_new) = match created {
            Created::New(session) => (session, true),
            Created::Taken(session) => (session, false),
        };
        if is_new {
            events::registered(node.machine(), &session);
        }
        let session = self.sessions.learn(session, read_at);
        let is_mine = session.owner() == Some(node.machine());
        if !is_mine || !(is_new || may_be_mine) {
            return Err(RegisterError::Taken(session));
        }
        match node.lease(&session, read_at, CacheStatus::Miss) {
            Lease::Valid { .. } => {
                let cache_status = CacheStatus::Miss;
                let grant = Grant {
                    session,
                    read_at,
                    cache_status,
                };
                Ok(grant.owned(&self.sessions))
            }
            Lease::Pending { left } => Err(RegisterError::Pending {
                retry_in: Duration::from_millis(left),
            }),
            Lease::Released => Err(RegisterError::Taken(session)),
            Lease::Expired => Err(RegisterError::Failed(LookupError::timeout(
                "the session directory answered too late",
            ))),
        }
    }

    async fn in_time<T>(
        &self,
        writing: impl Future<Output = Result<T, LookupError>> + Unpin,
    ) -> Result<T, LookupError> {
        let limit = Delay::new(self.sessions.cache.timeout());
        match select(AssertUnwindSafe(writing).catch_unwind(), limit).await {
            Either::Left((Ok(written), _)) => written,
            Either::Left((Err(_), _)) => {
                Err(LookupError::unavailable("the session directory panicked"))
            }
            Either::Right(_) => Err(LookupError::timeout(
                "the session directory did not answer a write within the time limit, and may have done it",
            )),
        }
    }
}

impl Sessions {
    /// Keeps what a write returned, as a read would.
    fn learn(&self, session: Session, asked_at: crate::clock::Tick) -> Session {
        let id = session.id().clone();
        let answer = Answer {
            session: Ok(Some(session.clone())),
            asked_at,
        };
        let now = self.cache.clock().exact();
        self.cache.note_answer(&answer.session, now);
        self.cache.note_read(&answer, now);
        if self.cache.replace(&id, &answer) {
            self.cache.notify(&id);
        }
        session
    }
}

impl fmt::Debug for Registrar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registrar")
            .field("machine", self.sessions.node.machine())
            .finish_non_exhaustive()
    }
}
