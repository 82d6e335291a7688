//! What the database knows of owners beside their names: epochs, release proofs, presence.

use std::time::Duration;

use crate::Presence;

use super::{PostgresConfigError, identifier::Identifier};

/// The names as the builder was given them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct OwnershipNames {
    pub(super) released: String,
    pub(super) machines: String,
    pub(super) fleet: String,
    pub(super) lost_after: Duration,
}

/// The column of the epoch, unless the builder was told another one.
const EPOCH: &str = "owner_epoch";

/// What a longer time without a beat is cut to.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

impl Default for OwnershipNames {
    fn default() -> Self {
        Self {
            released: "owner_released".to_owned(),
            machines: "ownership_machines".to_owned(),
            fleet: "ownership_fleet".to_owned(),
            lost_after: Duration::from_secs(15),
        }
    }
}

impl OwnershipNames {
    pub(super) fn parse(
        &self,
        schema: Option<&Identifier>,
        epoch: Option<&str>,
    ) -> Result<Ownership, PostgresConfigError> {
        if self.lost_after < Duration::from_millis(1) {
            return Err(PostgresConfigError::Zero { what: "lost_after" });
        }
        let qualified = |what, name: &str| {
            let name = Identifier::parse(what, name)?;
            Ok(match schema {
                Some(schema) => format!("{schema}.{name}"),
                None => name.to_string(),
            })
        };
        Ok(Ownership {
            epoch: Identifier::parse("epoch column", epoch.unwrap_or(EPOCH))?,
            released: Identifier::parse("released column", &self.released)?,
            machines: qualified("machines table", &self.machines)?,
            fleet: qualified("fleet table", &self.fleet)?,
            lost_after: self.lost_after.min(DAY),
        })
    }
}

/// The same, known to be names. Tables are quoted, with their schema.
#[derive(Clone, Debug)]
pub(super) struct Ownership {
    pub(super) epoch: Identifier,
    pub(super) released: Identifier,
    pub(super) machines: String,
    pub(super) fleet: String,
    pub(super) lost_after: Duration,
}

impl Ownership {
    /// What is read and written of a machine.
    pub(super) const MACHINE_COLUMNS: &[&str] = &[
        "machine_id",
        "boot_id",
        "app",
        "region",
        "address",
        "version",
        "started_at",
        "beat_at",
        "draining",
        "left_at",
        "gone_at",
        "rival_at",
    ];

    /// What is read and written of the fleet.
    pub(super) const FLEET_COLUMNS: &[&str] = &["the_fleet", "freshness_ms"];

    /// Joins the machine that the text `owner` names, by the primary key.
    pub(super) fn join(&self, owner: &str, machine: &str) -> String {
        let machines = &self.machines;
        format!(" LEFT JOIN {machines} AS {machine} ON {machine}.machine_id = {owner}")
    }

    /// How the owner is, whose row of the machines is `machine` if it has one, as a `smallint`
    /// for [`presence_of`]. Only the database's clock is asked.
    pub(super) fn presence(&self, owner: &str, machine: &str) -> String {
        let (is_lost, machines) = (self.is_lost(machine), &self.machines);
        // The subquery depends on nothing, so it is run once at most, and only if it comes to it.
        format!(
            "(CASE WHEN ({owner}) IS NULL THEN 0 \
             WHEN {machine}.machine_id IS NULL THEN \
             CASE WHEN EXISTS (SELECT FROM {machines}) THEN 4 ELSE 0 END \
             WHEN {is_lost} THEN 3 WHEN {machine}.draining THEN 2 ELSE 1 END)::smallint"
        )
    }

    /// Whether the machine of that row has left, was declared gone, or has not beaten in time.
    pub(super) fn is_lost(&self, machine: &str) -> String {
        let silence = self.lost_after.as_millis();
        format!(
            "({machine}.gone_at IS NOT NULL OR {machine}.left_at IS NOT NULL \
             OR {machine}.beat_at < now() - interval '{silence} milliseconds')"
        )
    }
}

/// What [`Ownership::presence`] says of who is so.
pub(super) fn code_of(presence: Presence) -> i16 {
    match presence {
        Presence::Unknown => 0,
        Presence::Alive => 1,
        Presence::Draining => 2,
        Presence::Lost => 3,
        Presence::NeverSeen => 4,
    }
}

/// What [`Ownership::presence`] says.
pub(super) fn presence_of(code: i16) -> Presence {
    match code {
        1 => Presence::Alive,
        2 => Presence::Draining,
        3 => Presence::Lost,
        4 => Presence::NeverSeen,
        _ => Presence::Unknown,
    }
}
