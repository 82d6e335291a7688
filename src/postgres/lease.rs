//! A connection for one exchange.

use deadpool_postgres::{ClientWrapper, Object, PoolError, TimeoutType};
use tokio::{
    sync::SemaphorePermit,
    time::{Instant, timeout, timeout_at},
};

use super::{connections::Connections, failure::Failure, mode::Duty, reserved::Reserved};
use crate::LookupError;

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

impl Connections {
    /// Waits for a connection of the half that is not for lookups, or of the heartbeat's.
    pub(super) async fn turn(
        &self,
        duty: Duty,
        deadline: Instant,
    ) -> Result<Option<SemaphorePermit<'_>>, Failure> {
        let (permits, deadline, late) = match duty {
            Duty::Lookups => return Ok(None),
            Duty::Others => (
                &self.others,
                deadline.min(Instant::now() + self.bounds.pool),
                LookupError::timeout(
                    "no connection to PostgreSQL became free in time: other writes, which get half \
                     of `max_connections`, hold them",
                ),
            ),
            Duty::Heartbeat => (&self.reserved.permits, deadline, Self::none_became_free()),
        };
        match timeout_at(deadline, permits.acquire()).await {
            Ok(Ok(turn)) => Ok(Some(turn)),
            // The semaphore is never closed.
            Ok(Err(_)) | Err(_) => Err(Failure::Unasked(late)),
        }
    }

    /// A connection for this duty: `idle`, if it is the heartbeat's and there is one.
    pub(super) async fn lease(
        &self,
        duty: Duty,
        idle: Option<ClientWrapper>,
        deadline: Instant,
    ) -> Result<Lease<'_>, Failure> {
        if duty == Duty::Heartbeat {
            let reserved = &self.reserved;
            if let Some(client) = idle {
                return Ok(Lease::reserved(client, reserved, true));
            }
            let deadline = deadline.min(Instant::now() + self.patience());
            return timeout_at(deadline, reserved.open(&self.pool))
                .await
                .unwrap_or(Err(PoolError::Timeout(TimeoutType::Create)))
                .map(|client| Lease::reserved(client, reserved, false))
                .map_err(|error| Failure::Unasked(self.place.connect_error(error)));
        }
        let got = async {
            if !self.is_foreign {
                let got = self.pool.get().await;
                return got.map_err(|error| self.place.connect_error(error));
            }
            // A pool that the application made may have no bounds, nor a runtime to keep them by.
            let got = timeout(self.patience(), self.pool.get())
                .await
                .map_err(|elapsed| {
                    LookupError::timeout("the pool gave no connection to PostgreSQL in time")
                        .with_source(elapsed)
                })?;
            got.map_err(|error| self.place.connect_error(error))
        };
        let got = timeout_at(deadline, got).await;
        got.unwrap_or_else(|_| Err(Self::too_late()))
            .map(Lease::of_pool)
            .map_err(Failure::Unasked)
    }
}
