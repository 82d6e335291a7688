//! What a failed lookup says of the directory.

use super::{Finding, circumstances::Found};
use crate::{LookupError, LookupErrorKind, observe::Chain};

pub(super) fn failed(error: &LookupError) -> Found {
    let causes = Chain(error);
    match error.kind() {
        _ if is_of_the_table(error) => (
            Finding::TableWrong,
            format!("The directory is not laid out as the layer was told: {causes}."),
        ),
        LookupErrorKind::Corrupt => (
            Finding::TableWrong,
            format!("What the directory holds of the session cannot be used: {causes}."),
        ),
        LookupErrorKind::Timeout => (
            Finding::DirectorySlow,
            format!("The directory does not answer in time: {causes}."),
        ),
        LookupErrorKind::Unavailable => (
            Finding::DirectoryDown,
            format!("The directory cannot be asked: {causes}."),
        ),
    }
}

/// Whether PostgreSQL was asked, and has another table, other columns or other rights than the
/// query needs (SQLSTATE classes 3F and 42).
#[cfg(feature = "postgres")]
fn is_of_the_table(error: &LookupError) -> bool {
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        if let Some(error) = cause.downcast_ref::<tokio_postgres::Error>() {
            let code = error.code().map(tokio_postgres::error::SqlState::code);
            let class = code.and_then(|code| code.get(..2));
            return class.is_some_and(|class| ["3F", "42"].contains(&class));
        }
        source = cause.source();
    }
    false
}

#[cfg(not(feature = "postgres"))]
fn is_of_the_table(_: &LookupError) -> bool {
    false
}
