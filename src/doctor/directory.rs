//! Asking the directory.

use std::time::Instant;

use super::{
    Source,
    facts::{Answered, Directory, Fault, Kept, Meaning, SessionRow},
};
use crate::{
    Finding, LookupError, LookupErrorKind, MachineId, PostgresFault, PostgresLookup,
    PostgresVerified, PostgresVerifyError, PostgresWarning, Session, SessionId, SessionStatus,
    observe::Chain,
    postgres::{DRIFTED, SeenLock, SeenRow, SeenServer, sqlstate},
};

pub(super) async fn ask(source: &Source, id: &SessionId) -> Directory {
    match source {
        Source::Any(lookup) => {
            let began = Instant::now();
            let answer = lookup.session(id.clone()).await;
            let row = match answer {
                Err(error) if error.kind() != LookupErrorKind::Corrupt => return failed(&error),
                Ok(None) => None,
                Ok(Some(session)) => Some(SeenRow::of(Ok(session))),
                Err(error) => Some(SeenRow::of(Err(error))),
            };
            Directory::Answered(Box::new(Answered {
                milliseconds: milliseconds(began),
                row: row.map(judged),
                kept: Kept::Unknown,
                machine: None,
                alive: Vec::new(),
                warnings: Vec::new(),
                locks: Vec::new(),
                denied: Vec::new(),
                feed: Vec::new(),
            }))
        }
        Source::Postgres {
            lookup,
            plain,
            pooler,
        } => {
            let mut directory = verified(lookup, plain.as_ref(), id.clone()).await;
            if let (Directory::Answered(answered), Some(pooler)) = (&mut directory, pooler) {
                let direct = pooler.replacen("pgbouncer", "direct", 1);
                answered.warnings.push(format!(
                    "{pooler} is the pooler of Fly's Managed Postgres: in transaction mode the feed \
                     of changes needs {direct}"
                ));
            }
            directory
        }
    }
}

async fn verified(
    lookup: &PostgresLookup,
    plain: Option<&PostgresLookup>,
    id: SessionId,
) -> Directory {
    // First, because what comes next would wait for those locks.
    let server = match lookup.see_server().await {
        Ok(server) => server,
        Err(error) if sqlstate(&error).is_some_and(|code| code.starts_with("42")) => {
            SeenServer::default()
        }
        Err(error) => return refused(lookup, &error).await,
    };
    if server.locks.iter().any(SeenLock::stops_readers) {
        return Directory::Locked {
            locks: server.locks,
        };
    }
    match settle(lookup, plain).await {
        Ok(settled) => match look(settled, server, &id).await {
            Ok(directory) => directory,
            Err(error) => refused(lookup, &error).await,
        },
        Err(PostgresVerifyError::Faults(faults)) => Directory::Misfit {
            faults: faults.iter().map(fault).collect(),
        },
        Err(PostgresVerifyError::Lookup(error)) => refused(lookup, &error).await,
    }
}

/// The lookup that fits what is there.
pub(super) struct Settled<'a> {
    pub(super) lookup: &'a PostgresLookup,
    pub(super) kept: Kept,
    verified: PostgresVerified,
}

/// Finds out whether ownership is kept. Without it the `plain` lookup is the one that fits; if that
/// does not, what the migration would make is not among the faults.
pub(super) async fn settle<'a>(
    lookup: &'a PostgresLookup,
    plain: Option<&'a PostgresLookup>,
) -> Result<Settled<'a>, PostgresVerifyError> {
    let faults = match verify(lookup).await {
        Ok(verified) => {
            return Ok(Settled {
                lookup,
                kept: if plain.is_some() {
                    Kept::Yes
                } else {
                    Kept::Unknown
                },
                verified,
            });
        }
        Err(PostgresVerifyError::Faults(faults)) => faults,
        Err(error) => return Err(error),
    };
    let (migration, others): (Vec<_>, Vec<_>) = faults
        .into_iter()
        .partition(|fault| matches!(fault, PostgresFault::NotMigrated { .. }));
    let Some(plain) = plain.filter(|_| others.is_empty()) else {
        return Err(PostgresVerifyError::Faults(others));
    };
    let kept = if migration.len() == PostgresLookup::MIGRATED {
        Kept::No
    } else {
        Kept::Partly(migration.iter().filter_map(missing).collect())
    };
    Ok(Settled {
        lookup: plain,
        kept,
        verified: verify(plain).await?,
    })
}

fn missing(fault: &PostgresFault) -> Option<String> {
    match fault {
        PostgresFault::NotMigrated { missing } => Some(missing.clone()),
        _ => None,
    }
}

async fn verify(lookup: &PostgresLookup) -> Result<PostgresVerified, PostgresVerifyError> {
    // Of no machine: warnings about ids of another form are left out.
    let doctor = MachineId::parse("doctor").map_err(|invalid| {
        LookupError::unavailable("the doctor has no name").with_source(invalid)
    })?;
    lookup.verify(&doctor).await
}

async fn look(
    settled: Settled<'_>,
    server: SeenServer,
    id: &SessionId,
) -> Result<Directory, LookupError> {
    let Settled {
        lookup,
        kept,
        verified,
    } = settled;
    let began = Instant::now();
    let row = match lookup.see(id).await {
        Ok(row) => row,
        Err(error) if error.kind() == LookupErrorKind::Corrupt => Some(SeenRow::of(Err(error))),
        Err(error) => return Err(error),
    };
    let milliseconds = milliseconds(began);
    let row = row.map(judged);
    let owner = row.as_ref().and_then(|row| row.owner.as_deref());
    let machine = match owner {
        Some(owner) => lookup.see_machine(owner).await?,
        None => None,
    };
    let alive = lookup.see_some_machines().await?;
    // What cannot be read beside is not what this is about.
    let denied = lookup.see_denied().await.unwrap_or_default();
    let feed = match lookup.directory() {
        Ok(directory) => {
            let deadline = tokio::time::Instant::now() + FEED;
            let missing = directory.missing_of_feed(deadline).await;
            missing.unwrap_or_default()
        }
        Err(_) => Vec::new(),
    };
    let warnings = verified
        .warnings()
        .iter()
        .filter(|warning| !matches!(warning, PostgresWarning::ForeignOwners { .. }));
    let mut warnings: Vec<String> = warnings.map(ToString::to_string).collect();
    if server.standby {
        warnings.push("the server is a replica, so what it says may be old".to_owned());
    }
    if lookup.is_pooled() {
        warnings.push(
            "something between here and the server shares its connections, as PgBouncer does in \
             transaction mode: the feed of changes needs a URL that leads to the server itself"
                .to_owned(),
        );
    }
    Ok(Directory::Answered(Box::new(Answered {
        milliseconds,
        row,
        kept,
        machine,
        alive,
        warnings,
        locks: server.locks,
        denied,
        feed,
    })))
}

/// How long the catalog may take.
const FEED: std::time::Duration = std::time::Duration::from_secs(5);

/// The same as [`failed`], with what would have to be granted, or who it waited for.
async fn refused(lookup: &PostgresLookup, error: &LookupError) -> Directory {
    let mut directory = failed(error);
    if matches!(directory, Directory::Late { .. })
        && let Ok(SeenServer { locks, .. }) = lookup.see_server().await
        && !locks.is_empty()
    {
        return Directory::Locked { locks };
    }
    if let Directory::Refused {
        finding: Finding::DatabaseDenied,
        error,
    } = &mut directory
    {
        let denied = lookup.see_denied().await.unwrap_or_default();
        if !denied.is_empty() {
            error.push_str(": ");
            error.push_str(&denied.join("; "));
        }
    }
    directory
}

fn judged(seen: SeenRow) -> SessionRow {
    let meaning = match &seen.session {
        Err(error) if error.to_string().contains(DRIFTED) => Meaning::Drifted(error.to_string()),
        Err(error) => Meaning::Unusable(Chain(error).to_string()),
        Ok(session) if session.is_over(std::time::Duration::ZERO) => Meaning::Over,
        Ok(session) if session.status() == SessionStatus::Starting => Meaning::Starting,
        Ok(_) => Meaning::Active,
    };
    let session = seen.session.as_ref().ok();
    let released = session.and_then(Session::released);
    SessionRow {
        released: released.is_some() && released == session.and_then(Session::epoch),
        owner: seen.owner,
        status: seen.status,
        meaning,
        remaining_seconds: seen.remaining.filter(|left| left.is_finite()),
        address: seen.address,
        epoch: seen.epoch,
        presence: seen.presence,
    }
}

fn failed(error: &LookupError) -> Directory {
    let text = Chain(error).to_string();
    let finding = match sqlstate(error) {
        _ if PostgresLookup::says_standby(error) => Some(Finding::Replica),
        Some("42501") => Some(Finding::DatabaseDenied),
        // Authorization, an unknown user, a wrong password, and an unknown database.
        Some("28000" | "28P01" | "3D000") => Some(Finding::DatabaseLogin),
        _ if text.contains("password missing") => Some(Finding::DatabaseLogin),
        Some("53300") => Some(Finding::DatabaseFull),
        // Of PgBouncer, under a code that says less.
        _ if text.contains("no more connections allowed") => Some(Finding::DatabaseFull),
        _ => None,
    };
    if let Some(finding) = finding {
        return Directory::Refused {
            finding,
            error: text,
        };
    }
    match error.kind() {
        LookupErrorKind::Timeout => Directory::Late { error: text },
        LookupErrorKind::Unavailable => Directory::Down { error: text },
        // Of the whole table: a single row is `Meaning::Unusable`.
        LookupErrorKind::Corrupt => Directory::Misfit {
            faults: vec![Fault {
                finding: Finding::ColumnType,
                text,
            }],
        },
    }
}

fn fault(fault: &PostgresFault) -> Fault {
    let finding = match fault {
        PostgresFault::NoTable { .. } => Finding::TableMissing,
        PostgresFault::NoColumn { .. } => Finding::ColumnMissing,
        PostgresFault::ColumnType { .. } => Finding::ColumnType,
        PostgresFault::NotMigrated { .. } => Finding::MigrationPartly,
    };
    Fault {
        finding,
        text: fault.to_string(),
    }
}

fn milliseconds(began: Instant) -> u64 {
    u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX)
}
