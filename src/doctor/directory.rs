//! Asking the directory.

use std::time::Instant;

use super::{
    Source,
    facts::{Answered, Directory, Fault, Kept, Meaning, SessionRow},
};
use crate::{
    Finding, LookupError, LookupErrorKind, MachineId, PostgresFault, PostgresLookup,
    PostgresVerified, PostgresVerifyError, PostgresWarning, SessionId, SessionStatus,
    observe::Chain, postgres::SeenRow,
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
    match settle(lookup, plain).await {
        Ok(settled) => look(settled, &id).await,
        Err(PostgresVerifyError::Faults(faults)) => Directory::Misfit {
            faults: faults.iter().map(fault).collect(),
        },
        Err(PostgresVerifyError::Lookup(error)) => failed(&error),
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

async fn look(settled: Settled<'_>, id: &SessionId) -> Directory {
    let Settled {
        lookup,
        kept,
        verified,
    } = settled;
    let began = Instant::now();
    let row = match lookup.see(id).await {
        Ok(row) => row,
        Err(error) if error.kind() == LookupErrorKind::Corrupt => Some(SeenRow::of(Err(error))),
        Err(error) => return failed(&error),
    };
    let milliseconds = milliseconds(began);
    let row = row.map(judged);
    let owner = row.as_ref().and_then(|row| row.owner.as_deref());
    let machine = match owner {
        Some(owner) => lookup.see_machine(owner).await,
        None => Ok(None),
    };
    let (machine, alive) = match (machine, lookup.see_some_machines().await) {
        (Ok(machine), Ok(alive)) => (machine, alive),
        (Err(error), _) | (_, Err(error)) => return failed(&error),
    };
    let warnings = verified
        .warnings()
        .iter()
        .filter(|warning| !matches!(warning, PostgresWarning::ForeignOwners { .. }));
    Directory::Answered(Box::new(Answered {
        milliseconds,
        row,
        kept,
        machine,
        alive,
        warnings: warnings.map(ToString::to_string).collect(),
    }))
}

fn judged(seen: SeenRow) -> SessionRow {
    let meaning = match &seen.session {
        Err(error) => Meaning::Unusable(Chain(error).to_string()),
        Ok(session) if session.is_over(std::time::Duration::ZERO) => Meaning::Over,
        Ok(session) if session.status() == SessionStatus::Starting => Meaning::Starting,
        Ok(_) => Meaning::Active,
    };
    SessionRow {
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
