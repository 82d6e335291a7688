//! What the database knows of owners beside their names: epochs, release proofs, presence.

use std::time::Duration;

use uuid::{Uuid, fmt::Hyphenated};

use crate::OwnerStatus;

use super::{PostgresColumns, PostgresConfigError, identifier::Identifier};

/// The names as the builder was given them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct OwnershipNames {
    pub(super) machines: String,
    pub(super) fleet: String,
    pub(super) lost_after: Duration,
    pub(super) reusable_ids: bool,
}

/// The default column of the epoch.
const EPOCH: &str = "owner_epoch";

/// What a longer time without a beat is cut to.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

impl Default for OwnershipNames {
    fn default() -> Self {
        Self {
            machines: "ownership_machines".to_owned(),
            fleet: "ownership_fleet".to_owned(),
            lost_after: Duration::from_secs(15),
            reusable_ids: false,
        }
    }
}

impl OwnershipNames {
    pub(super) fn parse(
        &self,
        schema: Option<&Identifier>,
        columns: &PostgresColumns,
        epoch: Option<Identifier>,
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
            epoch: match epoch {
                Some(epoch) => epoch,
                None => Identifier::parse("epoch column", EPOCH)?,
            },
            released: Identifier::parse("released column", &columns.released)?,
            epoch_of: Identifier::parse("epoch_of column", &columns.epoch_of)?,
            machines: qualified("machines table", &self.machines)?,
            fleet: qualified("fleet table", &self.fleet)?,
            lost_after: self.lost_after.min(DAY),
            reusable_ids: self.reusable_ids,
        })
    }
}

/// The same, known to be names. Tables are quoted, with their schema.
#[derive(Clone, Debug)]
pub(super) struct Ownership {
    pub(super) epoch: Identifier,
    pub(super) released: Identifier,
    /// The owner for which the trigger set the epoch.
    pub(super) epoch_of: Identifier,
    pub(super) machines: String,
    pub(super) fleet: String,
    pub(super) lost_after: Duration,
    /// Whether an inserted row begins at the clock.
    pub(super) reusable_ids: bool,
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
        "steady_since",
        "draining",
        "left_at",
        "gone_at",
        "rival_at",
        "took_over",
    ];

    /// What is read and written of the fleet.
    pub(super) const FLEET_COLUMNS: &[&str] = &["the_fleet", "freshness_ms"];
}

/// The code of a presence in statements.
pub(super) fn code_of(presence: OwnerStatus) -> i16 {
    match presence {
        OwnerStatus::Unknown => 0,
        // Which process runs as a machine, is not asked with this.
        OwnerStatus::Alive | OwnerStatus::Superseded => 1,
        OwnerStatus::Draining => 2,
        OwnerStatus::Lost => 3,
        OwnerStatus::NeverSeen => 4,
        OwnerStatus::Silent => 5,
    }
}

/// How an owner is, the boot id of the process that the table knows it by, and that one's address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen<'a> {
    pub(super) presence: OwnerStatus,
    pub(super) boot_id: Option<Uuid>,
    pub(super) address: Option<&'a str>,
}

/// The fragment `seen` of a statement: a code of [`presence_of`], and, of a machine that is known, the boot
/// id and the address, if there is one. `None`: it is none of that.
pub(super) fn seen_of(text: &str) -> Option<Seen<'_>> {
    let (code, machine) = text.split_at_checked(1)?;
    let presence = presence_of(code.parse().ok()?);
    if machine.is_empty() {
        return Some(Seen {
            presence,
            ..Seen::default()
        });
    }
    let (boot_id, address) = machine.split_at_checked(Hyphenated::LENGTH)?;
    Some(Seen {
        presence,
        boot_id: Some(Uuid::try_parse(boot_id).ok()?),
        address: Some(address).filter(|address| !address.is_empty()),
    })
}

/// The presence by its name, as a custom query returns it.
pub(super) fn presence_named(name: &str) -> Option<OwnerStatus> {
    let codes = 0..=5;
    codes.map(presence_of).find(|known| known.as_str() == name)
}

/// The presence of a code in statements.
pub(super) fn presence_of(code: i16) -> OwnerStatus {
    match code {
        1 => OwnerStatus::Alive,
        2 => OwnerStatus::Draining,
        3 => OwnerStatus::Lost,
        4 => OwnerStatus::NeverSeen,
        5 => OwnerStatus::Silent,
        _ => OwnerStatus::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_seen_of_an_owner_is_read_back() {
        let boot_id = Some(Uuid::from_u128(7));
        let seen = |presence, boot_id, address| {
            Some(Seen {
                presence,
                boot_id,
                address,
            })
        };
        let text = format!("2{}", Uuid::from_u128(7));
        assert_eq!(seen_of(&text), seen(OwnerStatus::Draining, boot_id, None));
        let text = format!("1{}http://a", Uuid::from_u128(7));
        let alive = seen(OwnerStatus::Alive, boot_id, Some("http://a"));
        assert_eq!(seen_of(&text), alive);
        assert_eq!(seen_of("4"), seen(OwnerStatus::NeverSeen, None, None));
        assert_eq!(seen_of("0"), seen(OwnerStatus::Unknown, None, None));
    }

    #[test]
    fn what_is_never_said_of_an_owner_is_not_taken_for_something() {
        let without_boot_id = format!("1{:36}", "http://a");
        for text in [
            "",
            "x",
            "1 ",
            "1x",
            "\u{e9}1",
            "11",
            "1http://a",
            &without_boot_id,
        ] {
            assert_eq!(seen_of(text), None, "{text:?}");
        }
    }
}
