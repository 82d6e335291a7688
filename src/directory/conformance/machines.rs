//! Machines.

use std::time::Duration;

use super::{Fleet, Harness, LOST_AFTER, Member, Outcome, expect, ok};
use crate::{Address, Beat, MachineInfo, Membership, OwnerStatus, Registration};

pub(super) async fn the_first_ttl_is_the_fleets<H: Harness>(fleet: Fleet<H>) -> Outcome {
    let (one, other) = (fleet.process("one").await?, fleet.process("other").await?);
    let (first, second) = (Duration::from_secs(5), Duration::from_secs(7));
    expect(
        "the first",
        ok(one.directory.agree_ttl(first).await)?,
        first,
    )?;
    expect(
        "the second",
        ok(other.directory.agree_ttl(second).await)?,
        first,
    )
}

pub(super) async fn a_machine_that_beats_is_alive<H: Harness>(fleet: Fleet<H>) -> Outcome {
    let one = fleet.member("one").await?;
    let session = fleet.session(Some("one")).await?;
    expect("the beat", one.beat().await?, Beat::Alive { rival: None })?;
    expect("the owner", one.status(&session).await?, OwnerStatus::Alive)
}

pub(super) async fn a_machine_that_was_never_registered_was_never_seen<H: Harness>(
    fleet: Fleet<H>,
) -> Outcome {
    let reader = fleet.process("reader").await?;
    let session = fleet.session(Some("stranger")).await?;
    expect(
        "without machines",
        reader.status(&session).await?,
        OwnerStatus::Unknown,
    )?;
    fleet.member("one").await?;
    expect(
        "with one",
        reader.status(&session).await?,
        OwnerStatus::NeverSeen,
    )
}

/// Time passes, in which these machines beat.
pub(super) async fn pass_beside<H: Harness>(
    fleet: &Fleet<H>,
    witness: &Member<H>,
    quarters: u32,
) -> Outcome {
    for _ in 0..quarters {
        fleet.harness.pass(LOST_AFTER / 4).await;
        witness.beat().await?;
    }
    Ok(())
}

pub(super) async fn a_machine_that_is_silent_beside_a_witness_is_lost<H: Harness>(
    fleet: Fleet<H>,
) -> Outcome {
    let (silent, witness) = (
        fleet.member("silent").await?,
        fleet.member("witness").await?,
    );
    let session = fleet.session(Some("silent")).await?;
    pass_beside(&fleet, &witness, 3).await?;
    expect(
        "before",
        witness.status(&session).await?,
        OwnerStatus::Alive,
    )?;
    pass_beside(&fleet, &witness, 9).await?;
    expect("after", witness.status(&session).await?, OwnerStatus::Lost)?;
    silent.beat().await?;
    expect(
        "once it beats",
        witness.status(&session).await?,
        OwnerStatus::Alive,
    )
}

pub(super) async fn machines_that_are_all_silent_are_not_lost<H: Harness>(
    fleet: Fleet<H>,
) -> Outcome {
    let (_one, other) = (fleet.member("one").await?, fleet.member("other").await?);
    let session = fleet.session(Some("one")).await?;
    fleet.harness.pass(10 * LOST_AFTER).await;
    expect(
        "the owner",
        other.status(&session).await?,
        OwnerStatus::Silent,
    )
}

pub(super) async fn a_witness_that_was_silent_itself_is_none<H: Harness>(
    fleet: Fleet<H>,
) -> Outcome {
    let (_one, other) = (fleet.member("one").await?, fleet.member("other").await?);
    let session = fleet.session(Some("one")).await?;
    fleet.harness.pass(10 * LOST_AFTER).await;
    other.beat().await?;
    expect(
        "at once",
        other.status(&session).await?,
        OwnerStatus::Silent,
    )?;
    pass_beside(&fleet, &other, 3).await?;
    expect(
        "soon after",
        other.status(&session).await?,
        OwnerStatus::Silent,
    )?;
    pass_beside(&fleet, &other, 2).await?;
    expect("later", other.status(&session).await?, OwnerStatus::Lost)
}

pub(super) async fn a_restart_without_leaving_takes_over<H: Harness>(fleet: Fleet<H>) -> Outcome {
    fleet.member("one").await?;
    let after = fleet.process("one").await?;
    expect(
        "the restart",
        after.register().await?,
        Registration::TookOver,
    )
}

pub(super) async fn a_restart_after_leaving_takes_nothing_over<H: Harness>(
    fleet: Fleet<H>,
) -> Outcome {
    fleet.member("one").await?.leave(true).await?;
    let after = fleet.process("one").await?;
    expect("the restart", after.register().await?, Registration::Again)
}

pub(super) async fn a_retry_of_the_same_process_takes_nothing_over<H: Harness>(
    fleet: Fleet<H>,
) -> Outcome {
    let one = fleet.process("one").await?;
    expect("the first", one.register().await?, Registration::First)?;
    expect("the retry", one.register().await?, Registration::Again)
}

pub(super) async fn an_unclean_leave_makes_the_next_process_take_over<H: Harness>(
    fleet: Fleet<H>,
) -> Outcome {
    fleet.member("one").await?;
    fleet.member("one").await?.leave(false).await?;
    let after = fleet.process("one").await?;
    expect("the next", after.register().await?, Registration::TookOver)
}

pub(super) async fn an_older_process_learns_of_a_younger_one<H: Harness>(
    fleet: Fleet<H>,
) -> Outcome {
    let (old, young) = (fleet.member("one").await?, fleet.member("one").await?);
    let by = young.me.boot_id;
    expect("the older", old.beat().await?, Beat::Superseded { by })
}

pub(super) async fn a_younger_process_learns_that_the_older_one_is_there<H: Harness>(
    fleet: Fleet<H>,
) -> Outcome {
    let (old, young) = (fleet.member("one").await?, fleet.member("one").await?);
    expect("before", young.beat().await?, Beat::Alive { rival: None })?;
    old.beat().await?;
    let Beat::Alive { rival: Some(first) } = young.beat().await? else {
        return Err("the younger process does not learn of the older one".to_owned());
    };
    fleet.harness.pass(Duration::from_secs(1)).await;
    old.beat().await?;
    match young.beat().await? {
        Beat::Alive { rival: Some(again) } => expect("whether it changed", again != first, true),
        other => Err(format!("{other:?}")),
    }
}

pub(super) async fn an_older_process_cannot_leave_for_a_younger_one<H: Harness>(
    fleet: Fleet<H>,
) -> Outcome {
    let (old, young) = (fleet.member("one").await?, fleet.member("one").await?);
    let session = fleet.session(Some("one")).await?;
    old.leave(true).await?;
    expect(
        "the machine",
        young.status(&session).await?,
        OwnerStatus::Alive,
    )
}

pub(super) async fn a_forgotten_machine_is_restored_by_its_heartbeat<H: Harness>(
    fleet: Fleet<H>,
) -> Outcome {
    let (one, reader) = (fleet.member("one").await?, fleet.member("reader").await?);
    let session = fleet.session(Some("one")).await?;
    fleet.harness.forget_machine(&one.me.machine).await;
    expect(
        "to itself",
        one.status(&session).await?,
        OwnerStatus::NeverSeen,
    )?;
    expect("the beat", one.beat().await?, Beat::Restored)?;
    expect(
        "afterwards",
        reader.status(&session).await?,
        OwnerStatus::Alive,
    )?;
    let after = fleet.process("one").await?;
    expect(
        "the next process",
        after.register().await?,
        Registration::TookOver,
    )
}

pub(super) async fn a_machine_that_is_gone_neither_beats_nor_registers<H: Harness>(
    fleet: Fleet<H>,
) -> Outcome {
    let (one, reader) = (fleet.member("one").await?, fleet.member("reader").await?);
    let session = fleet.session(Some("one")).await?;
    fleet.harness.declare_gone(&one.me.machine).await;
    expect(
        "the owner",
        reader.status(&session).await?,
        OwnerStatus::Lost,
    )?;
    expect("the beat", one.beat().await?, Beat::Removed)?;
    let after = fleet.process("one").await?;
    expect("the next", after.register().await?, Registration::Removed)
}

pub(super) async fn a_machine_that_has_left_is_lost<H: Harness>(fleet: Fleet<H>) -> Outcome {
    let (one, reader) = (fleet.member("one").await?, fleet.member("reader").await?);
    let session = fleet.session(Some("one")).await?;
    one.leave(true).await?;
    expect(
        "the owner",
        reader.status(&session).await?,
        OwnerStatus::Lost,
    )
}

pub(super) async fn a_draining_machine_is_draining<H: Harness>(fleet: Fleet<H>) -> Outcome {
    let (one, reader) = (fleet.member("one").await?, fleet.member("reader").await?);
    let session = fleet.session(Some("one")).await?;
    one.drain().await?;
    expect(
        "the owner",
        reader.status(&session).await?,
        OwnerStatus::Draining,
    )?;
    one.beat().await?;
    expect(
        "after a beat",
        reader.status(&session).await?,
        OwnerStatus::Draining,
    )
}

pub(super) async fn a_read_tells_a_process_of_its_successor<H: Harness>(
    fleet: Fleet<H>,
) -> Outcome {
    let (old, young) = (fleet.member("one").await?, fleet.member("one").await?);
    let session = fleet.session(Some("one")).await?;
    expect(
        "to the older",
        old.status(&session).await?,
        OwnerStatus::Superseded,
    )?;
    expect(
        "to the younger",
        young.status(&session).await?,
        OwnerStatus::Alive,
    )
}

pub(super) async fn a_read_tells_the_address_of_the_owners_last_process<H: Harness>(
    fleet: Fleet<H>,
) -> Outcome {
    let reader = fleet.member("reader").await?;
    let at = async |machine: &str, address: Option<&str>| {
        let process = fleet.process(machine).await?;
        let info = MachineInfo {
            address: address.map(str::to_owned),
            ..MachineInfo::default()
        };
        ok(process.directory.register(&process.me, &info).await)?;
        Ok::<_, String>(process)
    };
    let one = at("one", Some("https://one.example")).await?;
    at("other", Some("https://other.example")).await?;
    at("silent", None).await?;
    let told = async |session: &_| {
        let read = reader.read(session).await?;
        let host = |address: Option<&Address>| address.map(|found| found.host().to_owned());
        let owner = host(read.owner_address());
        Ok::<_, String>((owner, read.address().is_some()))
    };
    // One that was written by hand, and one that has got the address of its owner.
    let written = fleet.session(Some("one")).await?;
    let claimed = fleet.session(None).await?;
    one.claim(reader.read(&claimed).await?).await?;
    let expected = |host: &str| (Some(host.to_owned()), true);
    for session in [&written, &claimed] {
        let found = told(session).await?;
        expect("the address", found, expected("one.example"))?;
    }
    at("one", Some("https://again.example")).await?;
    for session in [&written, &claimed] {
        let found = told(session).await?;
        expect("after a restart", found, expected("again.example"))?;
        fleet.assign(session, Some("other")).await?;
        let found = told(session).await?;
        expect("of another owner", found, expected("other.example"))?;
    }
    fleet.assign(&written, Some("silent")).await?;
    expect("of one without", told(&written).await?, (None, false))
}
