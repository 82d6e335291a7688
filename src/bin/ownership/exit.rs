//! How the command ends.

use std::{error::Error, process::ExitCode};

use tower_ownership::{
    LookupError, LookupErrorKind,
    doctor::{Fleet, FleetError},
    postgres::{PostgresConfigError, PostgresVerifyError},
};

/// The status that scripts see; `--help` documents it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    Fine,
    Problem,
    Usage,
    Unknown,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Fine => 0,
            Exit::Problem => 1,
            Exit::Usage => 2,
            Exit::Unknown => 3,
        })
    }
}

/// Why there is nothing to say.
#[derive(Debug)]
pub struct Failure {
    pub exit: Exit,
    pub text: String,
}

impl Failure {
    pub fn usage(error: &dyn Error) -> Self {
        Self {
            exit: Exit::Usage,
            text: chain(error),
        }
    }

    pub fn unknown(error: &(dyn Error + 'static)) -> Self {
        let mut text = chain(error);
        if is_late(error) {
            text.push_str("; --database-timeout gives it longer");
        }
        Self {
            exit: Exit::Unknown,
            text,
        }
    }

    /// Of a fleet that could not be looked at. Names who was waited for.
    pub async fn of_fleet(fleet: &Fleet, error: FleetError) -> Self {
        let locks = if is_late(&error) {
            fleet.locks().await
        } else {
            Vec::new()
        };
        let mut failure = Self::from(error);
        for lock in locks {
            failure.text.push_str("; ");
            failure.text.push_str(&lock);
        }
        failure
    }
}

impl From<FleetError> for Failure {
    fn from(error: FleetError) -> Self {
        match error {
            FleetError::NoSession { .. } | FleetError::Partly { .. } => Self {
                exit: Exit::Problem,
                text: chain(&error),
            },
            error => Self::unknown(&error),
        }
    }
}

impl From<PostgresConfigError> for Failure {
    fn from(error: PostgresConfigError) -> Self {
        Self::usage(&error)
    }
}

impl From<LookupError> for Failure {
    fn from(error: LookupError) -> Self {
        Self::unknown(&error)
    }
}

/// Whether a longer wait could help.
fn is_late(error: &(dyn Error + 'static)) -> bool {
    let late = |error: &LookupError| error.kind() == LookupErrorKind::Timeout;
    match error.downcast_ref::<FleetError>() {
        Some(
            FleetError::Lookup(error) | FleetError::Verify(PostgresVerifyError::Lookup(error)),
        ) => late(error),
        _ => error.downcast_ref().is_some_and(late),
    }
}

/// The error, then what caused it. A cause that was said already is not said again.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}
