//! A connection for one exchange.

use deadpool_postgres::{ClientWrapper, Object};

use super::{failure::Failure, reserved::Reserved};

/// A connection that goes back to where it came from only when its query has been answered.
///
/// A connection whose answer is still outstanding would make the next lookup wait for it, and
/// the one after that. So whatever ends the wait early (our bound, or the end of the runtime)
/// drops the lease with the connection in it.
pub(super) struct Lease<'a>(Option<From<'a>>);

enum From<'a> {
    Pool(Object),
    /// The heartbeat's, and whether it was opened for an earlier statement.
    Reserved(ClientWrapper, &'a Reserved, bool),
}

impl<'a> Lease<'a> {
    pub(super) fn of_pool(object: Object) -> Self {
        Self(Some(From::Pool(object)))
    }

    pub(super) fn reserved(client: ClientWrapper, reserved: &'a Reserved, was_idle: bool) -> Self {
        Self(Some(From::Reserved(client, reserved, was_idle)))
    }

    /// Whether the connection was opened for an earlier query.
    pub(super) fn was_idle(&self) -> bool {
        match &self.0 {
            Some(From::Pool(object)) => Object::metrics(object).recycled.is_some(),
            Some(From::Reserved(_, _, was_idle)) => *was_idle,
            None => false,
        }
    }

    /// The connection; there is one until the [end](Self::end).
    pub(super) fn client(&self) -> Result<&ClientWrapper, Failure> {
        match &self.0 {
            Some(From::Pool(object)) => Ok(object),
            Some(From::Reserved(client, ..)) => Ok(client),
            None => Err(Failure::Slow),
        }
    }

    /// The server has answered, or will not. The heartbeat's connection is closed with its first error.
    pub(super) fn end<T>(mut self, answer: &Result<T, Failure>) {
        match (self.0.take(), answer) {
            (Some(From::Reserved(client, reserved, _)), Ok(_)) => reserved.keep(client),
            (Some(From::Pool(object)), Ok(_)) => drop(object),
            (Some(From::Pool(object)), Err(failure)) if failure.spares_the_connection() => {
                drop(object);
            }
            (from, _) => self.0 = from,
        }
    }
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        if let Some(From::Pool(object)) = self.0.take() {
            drop(Object::take(object));
        }
    }
}
