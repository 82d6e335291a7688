//! What a handler learns of its session.

use std::{fmt, sync::Arc, time::Duration};

#[cfg(test)]
use super::Lease;
use super::{Grant, Lost, Sessions, UntilLost};
use crate::Session;

/// Proof, in a request's extensions, that this machine owns the request's session.
///
/// Only the layer puts it there, so a handler that asks for it cannot be reached by a request for
/// another machine's session. It derefs to the [`Session`] that the verdict was made from.
///
/// A handler of axum takes it as `Extension<Owned>` or, with the feature `axum`, as `Owned` or
/// `Option<Owned>`. As `Owned` it refuses a request that names no session with 404
/// `session-missing`, and a mistake in the wiring with a 500 that names the mistake.
///
/// # How long it proves that
/// At the moment at which the request passed. Nothing takes back a request that is being served, so
/// a handler that goes on for long should ask: [`lost`](Self::lost) completes when the ownership is lost
/// or cannot be proved any more, and [`until_lost`](Self::until_lost) ends a streamed response then.
///
/// A process that is stopped inside of a handler and goes on a minute later cannot ask. What
/// it writes then is fenced by the [epoch](Session::epoch), which rises with every change of owner:
///
/// ```
/// # use tower_ownership::Owned;
/// # async fn save(client: &tokio_postgres::Client, owned: &Owned, state: &str)
/// # -> Result<bool, Box<dyn std::error::Error>> {
/// let epoch = i64::try_from(owned.epoch().ok_or("the directory keeps no epochs")?)?;
/// // Writes only if no later epoch has written, and only as long as this machine is the owner.
/// // `FOR SHARE` makes a change of the owner wait for this write, so the next owner reads it.
/// let written = client
///     .execute(
///         "INSERT INTO session_states AS s (session_id, epoch, state)
///          SELECT id, owner_epoch, $3 FROM preview_sessions
///          WHERE id = $1 AND owner_epoch = $2 FOR SHARE
///          ON CONFLICT (session_id) DO UPDATE SET epoch = excluded.epoch, state = excluded.state
///          WHERE s.epoch <= excluded.epoch",
///         &[&owned.id().as_uuid(), &epoch, &state],
///     )
///     .await?;
/// # Ok(written == 1) }
/// ```
#[derive(Clone)]
pub struct Owned {
    grant: Grant,
    sessions: Arc<Sessions>,
}

impl Owned {
    pub(crate) fn new(grant: Grant, sessions: &Arc<Sessions>) -> Self {
        Self {
            grant,
            sessions: Arc::clone(sessions),
        }
    }

    /// The session.
    #[must_use]
    pub fn session(&self) -> &Session {
        &self.grant.session
    }

    /// For how much longer the read that let this request pass proves the ownership; zero if it does
    /// no more. Nothing renews it but another request, or the wait for a [loss](Self::lost).
    #[must_use]
    pub fn proved_for(&self) -> Duration {
        Duration::from_millis(self.sessions.node.proves_for(self.grant.read_at))
    }

    /// What the read allows this machine now.
    #[cfg(test)]
    pub(crate) fn lease(&self) -> Lease {
        self.grant.lease(&self.sessions.node)
    }

    /// Completes when this machine has lost the session, or cannot prove any more that it owns it.
    ///
    /// As long as it is polled it keeps the session fresh: it reads it again before the last read
    /// is too old, together with all requests that ask for it. A feed of changes makes it
    /// complete within milliseconds of a change; without one, that takes up to
    /// one [TTL](crate::Node::lease_ttl). It completes by itself when the directory cannot be asked
    /// for that long.
    ///
    /// If it was not polled for that long (a client that does not read, a process that was stopped),
    /// it reads the session once more, within the lookup timeout, and goes on if the owner and the
    /// epoch are the same. Meanwhile nothing proves the ownership:
    /// [`Lost::proved_for`] tells zero, and [`until_lost`](Self::until_lost) lets nothing pass.
    ///
    /// ```
    /// # use tower_ownership::Owned;
    /// # async fn example(owned: Owned, work: impl Future<Output = ()>) {
    /// tokio::select! {
    ///     () = work => {}
    ///     loss = owned.lost() => println!("stopped: {loss}"),
    /// }
    /// # }
    /// ```
    pub fn lost(&self) -> Lost {
        Lost::new(&self.sessions, &self.grant.session, self.grant.read_at)
    }

    /// Wraps a body so that it ends when the session is [lost](Self::lost).
    pub fn until_lost<B>(&self, body: B) -> UntilLost<B> {
        UntilLost::new(body, self.lost())
    }
}

impl std::ops::Deref for Owned {
    type Target = Session;

    fn deref(&self) -> &Session {
        &self.grant.session
    }
}

impl fmt::Debug for Owned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Owned").field(&self.grant.session).finish()
    }
}

#[cfg(test)]
mod tests;
