//! Exchanges that go on without their callers.

use std::{error::Error, future::Future, panic::resume_unwind};

use bytes::{Bytes, BytesMut};
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};

use super::{connections::Parameter, failure::Failure};
use crate::LookupError;

/// Runs an exchange in a task of the runtime, from now on, and waits for it.
///
/// A future may be dropped at any time, and one that streams to a slow client may not be polled for
/// minutes; timers do not help, since they are in it. An exchange in such a future would keep its
/// connection, and what it holds at the server, from all others, or cost a new connection. In a task,
/// it ends within its own bound.
pub(super) fn detached<T: Send + 'static>(
    exchange: impl Future<Output = Result<T, Failure>> + Send + 'static,
) -> impl Future<Output = Result<T, Failure>> {
    let task = tokio::spawn(exchange);
    async {
        match task.await {
            Ok(done) => done,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => resume_unwind(panic),
                Err(_) => Err(Failure::Unasked(runtime_has_ended())),
            },
        }
    }
}

pub(super) fn runtime_has_ended() -> LookupError {
    LookupError::unavailable("the runtime that PostgreSQL was asked on has ended")
}

/// Parameters as they are sent, which a task can own.
#[derive(Debug)]
pub(super) struct Encoded(Vec<(Value, Type)>);

/// `None`: NULL.
#[derive(Debug)]
struct Value(Option<Bytes>);

impl Encoded {
    pub(super) fn new(parameters: &[Parameter<'_>]) -> Result<Self, Failure> {
        let encode = |(value, kind): &Parameter<'_>| {
            let mut bytes = BytesMut::new();
            let value = match value.to_sql_checked(kind, &mut bytes) {
                Ok(IsNull::Yes) => Value(None),
                Ok(IsNull::No) => Value(Some(bytes.freeze())),
                Err(error) => {
                    let error = LookupError::corrupt("a parameter is not of its column's type")
                        .with_source(error);
                    return Err(Failure::Unasked(error));
                }
            };
            Ok((value, kind.clone()))
        };
        parameters
            .iter()
            .map(encode)
            .collect::<Result<_, _>>()
            .map(Self)
    }

    pub(super) fn parameters(&self) -> Vec<Parameter<'_>> {
        let mut parameters: Vec<Parameter<'_>> = Vec::with_capacity(self.0.len());
        for (value, kind) in &self.0 {
            parameters.push((value, kind.clone()));
        }
        parameters
    }
}

impl ToSql for Value {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        Ok(match &self.0 {
            Some(bytes) => {
                out.extend_from_slice(bytes);
                IsNull::No
            }
            None => IsNull::Yes,
        })
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}
