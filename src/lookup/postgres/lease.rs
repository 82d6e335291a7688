//! A connection of the pool, for one exchange.

use deadpool_postgres::{ClientWrapper, Object};

use super::failure::Failure;

/// A connection that goes back into the pool only when its query has been answered.
///
/// A connection whose answer is still outstanding would make the next lookup wait for it, and
/// the one after that. So whatever ends the wait early (our bound, or the end of the runtime)
/// drops the lease with the connection in it.
pub(super) struct Lease(Option<Object>);

impl Lease {
    pub(super) fn new(object: Object) -> Self {
        Self(Some(object))
    }

    /// Whether the connection was opened for an earlier query.
    pub(super) fn was_idle(&self) -> bool {
        let recycled = |object| Object::metrics(object).recycled.is_some();
        self.0.as_ref().is_some_and(recycled)
    }

    /// The connection; there is one until the [end](Self::end).
    pub(super) fn client(&self) -> Result<&ClientWrapper, Failure> {
        self.0.as_deref().ok_or(Failure::Slow)
    }

    /// The server has answered, or will not.
    pub(super) fn end<T>(mut self, answer: &Result<T, Failure>) {
        let spared = match answer {
            Ok(_) => true,
            Err(failure) => failure.spares_the_connection(),
        };
        if spared {
            drop(self.0.take());
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(object) = self.0.take() {
            drop(Object::take(object));
        }
    }
}
