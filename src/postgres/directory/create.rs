//! Creating a session.

use std::{sync::Arc, time::Duration};

use serde_json::Value;
use tokio_postgres::types::Type;

use super::{PostgresDirectory, reap::LONGEST, value};
use crate::{
    LookupError, MachineId,
    directory::{Created, NewSession},
    postgres::{Inner, mode::Mode},
};

/// How often it is tried. Once is enough, unless the session is over and still has its owner, or a row is
/// inserted meanwhile by others.
const ATTEMPTS: usize = 3;

impl PostgresDirectory {
    pub(super) async fn create_session(
        &self,
        new: NewSession,
        machine: MachineId,
    ) -> Result<Created, LookupError> {
        let lookup = self.lookup();
        let ids = lookup.query.ids();
        let session = ids.sessions.admit(new.id.clone());
        let fitting = session.and_then(|session| Some((ids.value(&session)?, session)));
        let Some((id, session)) = fitting else {
            return Err(LookupError::unavailable(
                "the session's id is none that the sessions' table can hold",
            ));
        };
        lookup.nodes.may_create(&machine)?;
        let create = self.births.statement(&new)?;
        let statements = self.statements();
        let lock = [Arc::clone(&statements.create_lock)];
        // The second look at the owner is for one that was made the owner for that.
        let to_give_up = [
            &statements.create_lock,
            &statements.create_give_up,
            &statements.create_adopt,
            &statements.create_give_up,
        ]
        .map(Arc::clone);
        let boot_id = lookup.nodes.boot_id(&machine);
        let attributes = Value::Object(new.attributes);
        let lifetime = new.lifetime.map(milliseconds);
        let address = new.address.map(|address| address.to_string());
        let parameters = [
            id.parameter(),
            (&machine.as_str() as _, Type::TEXT),
            (&boot_id as _, Type::UUID),
            (&attributes as _, Type::JSONB),
            (&lifetime as _, Type::FLOAT8),
            (&address as _, Type::TEXT),
        ];
        let deadline = lookup.connections.deadline();
        let mut before: &[Arc<str>] = &lock;
        for _ in 0..ATTEMPTS {
            let rows = lookup
                .connections
                .run_in_order(Mode::CREATE, before, &create, &parameters, deadline)
                .await?;
            let [row] = rows.as_slice() else {
                return Err(Inner::two_rows());
            };
            match value::<i16>(row, "outcome")? {
                0 => return lookup.read(&session, row).map(Created::Taken),
                1 => return lookup.read(&session, row).map(Created::New),
                2 => before = &to_give_up,
                3 => {
                    return Err(LookupError::unavailable(
                        "the machine may not create sessions: it is draining, has left or was \
                         declared gone, or another process registered it",
                    ));
                }
                _ => {}
            }
        }
        Err(LookupError::unavailable(
            "the session was not created: its row violates a unique index of the table, or a \
             trigger swallowed the write",
        ))
    }
}

/// A lifetime as statements count it, cut to a hundred years.
#[expect(
    clippy::cast_precision_loss,
    reason = "a century has fewer than 2^53 milliseconds"
)]
pub(super) fn milliseconds(lifetime: Duration) -> f64 {
    lifetime.min(LONGEST).as_millis() as f64
}
