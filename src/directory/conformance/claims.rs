//! Claims.

use super::{Fleet, Harness, Outcome, expect, machines::pass_beside, ok};
use crate::{SessionDirectory, SessionId, SessionLookup};

pub(super) async fn a_session_without_an_owner_is_claimed_at_the_next_epoch<H: Harness>(
    fleet: Fleet<H>,
) -> Outcome {
    let one = fleet.member("one").await?;
    let session = fleet.session(None).await?;
    let seen = one.read(&session).await?;
    let before = seen.epoch().unwrap_or(0);
    let claimed = one.claim(seen).await?;
    expect("the owner", claimed.owner(), Some(&one.me.machine))?;
    expect("the epoch", claimed.epoch(), Some(before + 1))
}

pub(super) async fn of_two_claims_one_wins_and_the_other_learns_who<H: Harness>(
    fleet: Fleet<H>,
) -> Outcome {
    let (one, other) = (fleet.member("one").await?, fleet.member("other").await?);
    let session = fleet.session(None).await?;
    let seen = one.read(&session).await?;
    one.claim(seen.clone()).await?;
    let late = other.claim(seen).await?;
    expect("the owner", late.owner(), Some(&one.me.machine))
}

pub(super) async fn a_session_of_a_living_owner_is_not_claimed<H: Harness>(
    fleet: Fleet<H>,
) -> Outcome {
    let (one, other) = (fleet.member("one").await?, fleet.member("other").await?);
    let session = fleet.session(Some("one")).await?;
    let seen = other.read(&session).await?;
    let claimed = other.claim(seen).await?;
    expect("the owner", claimed.owner(), Some(&one.me.machine))
}

pub(super) async fn a_session_that_has_ended_is_not_claimed<H: Harness>(
    fleet: Fleet<H>,
) -> Outcome {
    let one = fleet.member("one").await?;
    let session = fleet.session(None).await?;
    let seen = one.read(&session).await?;
    fleet.harness.end(&session).await;
    let machine = one.me.machine.clone();
    let after = ok(one.directory.claim(seen, machine).await)?;
    let owner = after.and_then(|after| after.session.owner().cloned());
    expect("the owner", owner, None)
}

pub(super) async fn a_session_of_a_lost_owner_is_taken_over_at_the_next_epoch<H: Harness>(
    fleet: Fleet<H>,
) -> Outcome {
    let (_lost, witness) = (fleet.member("lost").await?, fleet.member("witness").await?);
    let session = fleet.session(Some("lost")).await?;
    pass_beside(&fleet, &witness, 12).await?;
    let seen = witness.read(&session).await?;
    let before = seen.epoch().unwrap_or(1);
    let claimed = witness.claimed(seen).await?;
    let is_told = claimed.silent_for.is_some_and(|it| it >= super::LOST_AFTER);
    expect(
        "that the claim names how long the owner was silent",
        is_told,
        true,
    )?;
    let claimed = claimed.session;
    expect("the owner", claimed.owner(), Some(&witness.me.machine))?;
    expect("the epoch", claimed.epoch(), Some(before + 1))?;
    expect("the proof", claimed.released() == claimed.epoch(), false)
}

pub(super) async fn a_take_over_needs_the_epoch_that_was_seen<H: Harness>(
    fleet: Fleet<H>,
) -> Outcome {
    let (_lost, witness) = (fleet.member("lost").await?, fleet.member("witness").await?);
    let session = fleet.session(Some("lost")).await?;
    pass_beside(&fleet, &witness, 12).await?;
    let seen = witness.read(&session).await?;
    fleet.assign(&session, None).await?;
    fleet.assign(&session, Some("lost")).await?;
    let claimed = witness.claim(seen).await?;
    expect(
        "the owner",
        claimed.owner().map(ToString::to_string),
        Some("lost".to_owned()),
    )
}

pub(super) async fn a_draining_machine_claims_nothing<H: Harness>(fleet: Fleet<H>) -> Outcome {
    let one = fleet.member("one").await?;
    let session = fleet.session(None).await?;
    let seen = one.read(&session).await?;
    one.drain().await?;
    expect("the owner", one.claim(seen).await?.owner(), None)
}

pub(super) async fn a_superseded_process_claims_nothing<H: Harness>(fleet: Fleet<H>) -> Outcome {
    let (old, _young) = (fleet.member("one").await?, fleet.member("one").await?);
    let session = fleet.session(None).await?;
    let seen = old.read(&session).await?;
    expect("the owner", old.claim(seen).await?.owner(), None)
}

pub(super) async fn an_unknown_session_is_no_error<H: Harness>(fleet: Fleet<H>) -> Outcome {
    let one = fleet.member("one").await?;
    let nowhere = SessionId::new(uuid::Uuid::from_u64_pair(super::number(), super::number()));
    let found = ok(one.directory.session(nowhere).await)?;
    expect("what was found", found.is_none(), true)
}

pub(super) async fn a_change_of_owner_raises_the_epoch<H: Harness>(fleet: Fleet<H>) -> Outcome {
    let reader = fleet.member("reader").await?;
    let session = fleet.session(Some("one")).await?;
    let mut last = reader.read(&session).await?.epoch();
    for owner in [Some("other"), None, Some("one")] {
        fleet.assign(&session, owner).await?;
        let epoch = reader.read(&session).await?.epoch();
        expect("whether the epoch rose", epoch > last, true)?;
        last = epoch;
    }
    Ok(())
}
