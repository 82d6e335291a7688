//! What a failed question says about the database.

use std::{error::Error, io};

use deadpool_postgres::{PoolError, TimeoutType};

use crate::{LookupError, LookupErrorKind};

use super::connections::Connections;

/// Why a question has no answer.
#[derive(Debug)]
pub(super) enum Failure {
    /// There was no connection to ask it on, or no time for it.
    Unasked(LookupError),
    /// No answer within the bound.
    Slow,
    Server(tokio_postgres::Error),
    /// The server follows another one: what it says may have been true some time ago, and it takes
    /// no writes.
    Standby(Option<tokio_postgres::Error>),
}

impl Failure {
    fn sqlstate(&self) -> Option<&str> {
        match self {
            Self::Unasked(_) | Self::Slow | Self::Standby(_) => None,
            Self::Server(error) => error.code().map(tokio_postgres::error::SqlState::code),
        }
    }

    /// Whether the connection rather than the question was at fault, so that a fresh one helps.
    pub(super) fn is_stale(&self) -> bool {
        match (self, self.sqlstate()) {
            (Self::Unasked(_) | Self::Slow | Self::Standby(_), _) => false,
            // No answer of the server's at all: the connection is gone.
            (Self::Server(error), None) => error.is_closed() || caused_by_io(error),
            // Ended by an administrator, by another backend's crash, or for lying idle, also in a
            // transaction whose end this process was too late to send; and connection exceptions,
            // which poolers report for the servers behind them. A stale plan (0A000) is not among
            // them: every column of a statement has a type of its own choosing, so no change of the
            // table makes one. Nor is a lost statement (26000), which says that the connection is
            // shared.
            (_, Some(code)) => {
                code.starts_with("08") || matches!(code, "57P01" | "57P02" | "57P05" | "25P03")
            }
        }
    }

    /// Whether the connection can serve the next query: the server has answered this one, and it
    /// did not take its leave.
    pub(super) fn spares_the_connection(&self) -> bool {
        self.sqlstate().is_some() && !self.is_stale()
    }

    /// Whether the server follows another one.
    pub(super) fn is_standby(&self) -> bool {
        matches!(self, Self::Standby(_))
    }

    /// Whether the server refused to write because nothing may be written there; a standby also
    /// reports that with the code of a feature that it does not have.
    pub(super) fn is_of_a_read_only_server(&self) -> bool {
        matches!(self.sqlstate(), Some("25006" | "0A000"))
    }

    /// The same, of a server that is known to be a standby.
    pub(super) fn of_a_standby(self) -> Self {
        match self {
            Self::Server(error) => Self::Standby(Some(error)),
            other => other,
        }
    }

    /// Whether the server does not know what was prepared, or already does: the connection is
    /// shared after all.
    pub(super) fn is_of_a_prepared_statement(&self) -> bool {
        matches!(self.sqlstate(), Some("26000" | "42P05"))
    }

    /// Whether a concurrent transaction moved the row to another partition. Nothing was done, and a
    /// second attempt finds the row where it is now.
    pub(super) fn is_of_a_moved_row(&self) -> bool {
        self.sqlstate() == Some("40001")
    }

    /// Whether one row of several may be the reason: a value that cannot be converted, a view or a
    /// function that fails for it, a page of the table that is damaged.
    pub(super) fn is_of_a_row(&self) -> bool {
        let classes = ["21", "22", "38", "39", "P0", "XX"];
        let class = self.sqlstate().and_then(|code| code.get(..2));
        class.is_some_and(|class| classes.contains(&class))
    }

    /// The error of a session query.
    pub(super) fn into_lookup_error(self) -> LookupError {
        self.into_error(Asked::Session)
    }

    /// The error of what was `asked`.
    pub(super) fn into_error(self, asked: Asked) -> LookupError {
        match asked {
            Asked::Claim => return self.into_claim_error(),
            Asked::Create => return self.into_create_error(),
            Asked::Session | Asked::Read | Asked::Write => {}
        }
        let error = match &self {
            Self::Unasked(error) => error.clone(),
            Self::Slow => LookupError::timeout(match asked {
                Asked::Session => "the session query took too long",
                Asked::Read => "the query took too long",
                Asked::Write | Asked::Claim | Asked::Create => {
                    "the write took too long, and may have been done all the same"
                }
            }),
            Self::Standby(_) => LookupError::unavailable(STANDBY),
            Self::Server(_) => of_code(self.sqlstate(), asked),
        };
        match self {
            Self::Unasked(_) | Self::Slow | Self::Standby(None) => error,
            Self::Server(source) | Self::Standby(Some(source)) => error.with_source(source),
        }
    }

    /// The error of a claim. The lookup before it worked, which an error of the directory alone would
    /// leave open.
    fn into_claim_error(self) -> LookupError {
        let is_locked = self.sqlstate() == Some("55P03");
        let error = self.into_error(Asked::Write);
        let claim = match error.kind() {
            _ if is_locked => LookupError::timeout(
                "the claim of the session was given up: another transaction holds its row",
            ),
            LookupErrorKind::Timeout => {
                LookupError::timeout("the claim of the session took too long")
            }
            LookupErrorKind::Corrupt => {
                LookupError::corrupt("the claim of the session cannot be written")
            }
            _ => LookupError::unavailable("the claim of the session was refused"),
        };
        claim.with_source(error)
    }

    /// The error of the creation of a session.
    fn into_create_error(self) -> LookupError {
        let code = self.sqlstate().map(ToOwned::to_owned);
        let error = self.into_error(Asked::Write);
        let create = match (code.as_deref(), error.kind()) {
            (Some("55P03"), _) => LookupError::timeout(
                "the session was not created: another transaction holds its row or creates it",
            ),
            (Some("23502"), _) => LookupError::unavailable(
                "the session was not created: a column that must not be NULL got no value; name it \
                 in `insert_columns`, and give it a value in the attributes of the new session",
            ),
            (Some("23514"), _) => LookupError::unavailable(
                "the session was not created: a check of the table forbids the row, or no partition \
                 is for it",
            ),
            (Some(code), _) if code.starts_with("22") => LookupError::corrupt(
                "the session was not created: a value of it does not fit the type of its column",
            ),
            (_, LookupErrorKind::Timeout) => {
                LookupError::timeout("the creation of the session took too long")
            }
            (_, LookupErrorKind::Corrupt) => LookupError::corrupt("the session cannot be created"),
            _ => LookupError::unavailable("the creation of the session was refused"),
        };
        create.with_source(error)
    }
}

/// What was asked of the server, by which an error names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    Session,
    Read,
    Write,
    Claim,
    Create,
}

/// A text with the name of what was asked in the middle.
macro_rules! text {
    ($asked:ident, $before:literal, $after:literal) => {
        match $asked {
            Asked::Session => concat!($before, "the session query", $after),
            Asked::Read => concat!($before, "the query", $after),
            Asked::Write | Asked::Claim | Asked::Create => concat!($before, "the write", $after),
        }
    };
}

/// What an SQLSTATE means, and what to do about it. `None`: the connection ended without one.
fn of_code(code: Option<&str>, asked: Asked) -> LookupError {
    use Asked::{Session, Write};
    let (timeout, corrupt) = (LookupError::timeout, LookupError::corrupt);
    let unavailable = LookupError::unavailable;
    match (code, asked) {
        (None, Write) => unavailable(
            "the connection to PostgreSQL was lost, and the write may have been done all the same",
        ),
        (None, _) => unavailable("the connection to PostgreSQL was lost"),
        (Some("57014" | "55P03"), _) => {
            timeout(text!(asked, "PostgreSQL gave ", " up: it took too long"))
        }
        (Some("25006"), Write) => unavailable(
            "PostgreSQL takes no writes: default_transaction_read_only is on for this database, \
             role or server",
        ),
        (Some("42P01" | "42703" | "3F000"), Session) => {
            unavailable("PostgreSQL has no such table or column as the session query names")
        }
        (Some("42P01" | "42703" | "3F000" | "42P10"), _) => unavailable(text!(
            asked,
            "PostgreSQL has no such table or column as ",
            " names: was the migration of the directory applied?"
        )),
        (Some("42501"), _) => unavailable(text!(asked, "PostgreSQL does not permit ", "")),
        // Mismatched types, no operator for them, and no cast: a fault of the table and not of a row, which
        // every lookup meets, so the machine is not ready, as with a missing column.
        (Some("42804" | "42883" | "42846"), _) => unavailable(text!(
            asked,
            "the columns are not of the types that ",
            " needs"
        )),
        // Nearly always "too many notifications in the NOTIFY queue": every write of an owner
        // notifies.
        (Some("54000"), Write) => unavailable(
            "PostgreSQL refuses the write because a limit is reached, most likely of the NOTIFY \
             queue: a listener takes no notifications (see pg_notification_queue_usage())",
        ),
        (Some(code), Write) if code.starts_with("22") => corrupt(
            "PostgreSQL cannot store the value: is the owner's column of a type that holds machine \
             ids?",
        ),
        (Some(code), Session) if code.starts_with("22") => {
            corrupt("PostgreSQL cannot read a value of the session's row")
        }
        (Some(_), _) => unavailable(text!(asked, "PostgreSQL refused ", "")),
    }
}

const STANDBY: &str = "this PostgreSQL server is a standby (pg_is_in_recovery), and only the primary \
    knows who owns a session: make the host name lead to the primary, or name all servers as hosts \
    and add target_session_attrs=read-write";

/// The server's code in an error (SQLSTATE).
pub(crate) fn sqlstate(error: &LookupError) -> Option<&str> {
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<tokio_postgres::Error>() {
            return error.code().map(tokio_postgres::error::SqlState::code);
        }
        cause = error.source();
    }
    None
}

/// Whether this is what a lookup of a standby says, where ownership is kept.
#[cfg(feature = "doctor")]
pub(super) fn is_of_a_standby(error: &LookupError) -> bool {
    error.to_string().contains(STANDBY)
}

/// Why the pool gave no connection.
pub(super) fn connect_error(error: PoolError) -> LookupError {
    match error {
        PoolError::Timeout(TimeoutType::Wait) => {
            Connections::none_became_free()
        }
        PoolError::Timeout(TimeoutType::Create) => {
            LookupError::timeout("PostgreSQL did not accept a connection in time")
        }
        PoolError::Timeout(TimeoutType::Recycle) => {
            LookupError::timeout("a connection to PostgreSQL could not be made ready in time")
        }
        PoolError::Backend(error) if io_kind(&error) == Some(io::ErrorKind::TimedOut) => {
            LookupError::timeout("PostgreSQL could not be reached in time").with_source(error)
        }
        PoolError::Backend(error) if caused_by_tls(&error) => LookupError::unavailable(
            "PostgreSQL's certificate was refused: is it trusted (`sslrootcert`), and for this host?",
        )
        .with_source(error),
        PoolError::Backend(error) => {
            LookupError::unavailable("no connection to PostgreSQL could be opened")
                .with_source(error)
        }
        other => {
            LookupError::unavailable("the pool gave no connection to PostgreSQL").with_source(other)
        }
    }
}

/// Whether the TLS handshake failed: worth words of its own, because a server with a certificate
/// that it made itself is common.
pub(super) fn caused_by_tls(error: &tokio_postgres::Error) -> bool {
    #[cfg(feature = "tls")]
    {
        let cause = error
            .source()
            .and_then(|cause| cause.downcast_ref::<io::Error>());
        match cause.and_then(io::Error::get_ref) {
            Some(inner) => inner.is::<rustls::Error>(),
            None => false,
        }
    }
    #[cfg(not(feature = "tls"))]
    {
        let _ = error;
        false
    }
}

fn caused_by_io(error: &tokio_postgres::Error) -> bool {
    io_kind(error).is_some()
}

fn io_kind(error: &tokio_postgres::Error) -> Option<io::ErrorKind> {
    let cause = error.source()?.downcast_ref::<io::Error>()?;
    Some(cause.kind())
}
