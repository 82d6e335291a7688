//! Releases.

use super::{Fleet, Harness, Outcome, WITHIN, expect, ok};
use crate::{Membership, NodeState, Released};

pub(super) async fn a_release_frees_the_session_and_proves_it<H: Harness>(
    fleet: Fleet<H>,
) -> Outcome {
    let one = fleet.member("one").await?;
    let session = fleet.session(Some("one")).await?;
    let epoch = one.read(&session).await?.epoch().unwrap_or(1);
    let released = ok(one.directory.release(&one.node, &session, u64::MAX).await)?;
    let expected = Released::new(session.clone(), epoch + 1, true);
    expect("the release", released, Some(expected))?;
    let after = one.read(&session).await?;
    let found = (after.owner(), after.epoch(), after.released());
    expect(
        "the session",
        found,
        (None, Some(epoch + 1), Some(epoch + 1)),
    )?;
    let again = ok(one.directory.release(&one.node, &session, u64::MAX).await)?;
    expect("a second release", again, None)
}

pub(super) async fn a_release_during_the_wait_proves_nothing<H: Harness>(
    fleet: Fleet<H>,
) -> Outcome {
    let one = fleet.member("one").await?;
    let session = fleet.session(Some("before")).await?;
    // No proof: the machine waits for the owner before.
    fleet.assign(&session, Some("one")).await?;
    let released = ok(one.directory.release(&one.node, &session, u64::MAX).await)?;
    expect("the proof", released.map(|one| one.proven), Some(false))?;
    let after = one.read(&session).await?;
    expect("in the row", after.released() == after.epoch(), false)
}

pub(super) async fn a_release_without_membership_proves_nothing<H: Harness>(
    fleet: Fleet<H>,
) -> Outcome {
    let one = fleet.process("one").await?;
    let session = fleet.session(Some("one")).await?;
    let released = ok(one.directory.release(&one.node, &session, u64::MAX).await)?;
    expect("the proof", released.map(|one| one.proven), Some(false))
}

pub(super) async fn a_release_after_a_take_over_of_the_machine_proves_nothing<H: Harness>(
    fleet: Fleet<H>,
) -> Outcome {
    fleet.member("one").await?;
    let young = fleet.member("one").await?;
    let session = fleet.session(Some("one")).await?;
    let released = ok(young
        .directory
        .release(&young.node, &session, u64::MAX)
        .await)?;
    expect("the proof", released.map(|one| one.proven), Some(false))
}

pub(super) async fn another_machines_session_is_not_released<H: Harness>(
    fleet: Fleet<H>,
) -> Outcome {
    let (one, other) = (fleet.member("one").await?, fleet.member("other").await?);
    let session = fleet.session(Some("other")).await?;
    let released = ok(one.directory.release(&one.node, &session, u64::MAX).await)?;
    expect("the release", released, None)?;
    expect(
        "the owner",
        other.read(&session).await?.owner(),
        Some(&other.me.machine),
    )
}

pub(super) async fn a_session_that_came_back_is_not_released_by_an_old_release<H: Harness>(
    fleet: Fleet<H>,
) -> Outcome {
    let one = fleet.member("one").await?;
    let session = fleet.session(Some("one")).await?;
    let epoch = one.read(&session).await?.epoch().unwrap_or(1);
    fleet.assign(&session, None).await?;
    fleet.assign(&session, Some("one")).await?;
    let released = ok(one.directory.release(&one.node, &session, epoch).await)?;
    expect("the release", released, None)?;
    expect(
        "the owner",
        one.read(&session).await?.owner(),
        Some(&one.me.machine),
    )
}

pub(super) async fn a_superseded_process_releases_nothing<H: Harness>(fleet: Fleet<H>) -> Outcome {
    let (old, young) = (fleet.member("one").await?, fleet.member("one").await?);
    let session = fleet.session(Some("one")).await?;
    let released = old.directory.release(&old.node, &session, u64::MAX).await;
    expect("whether it fails", released.is_err(), true)?;
    expect(
        "the owner",
        young.read(&session).await?.owner(),
        Some(&young.me.machine),
    )
}

pub(super) async fn all_sessions_are_released_at_once<H: Harness>(fleet: Fleet<H>) -> Outcome {
    let one = fleet.member("one").await?;
    for _ in 0..5 {
        fleet.session(Some("one")).await?;
    }
    let others = fleet.session(Some("other")).await?;
    let (directory, me) = (&one.directory, &one.me.machine);
    expect("owned before", ok(directory.owned(me, WITHIN).await)?, 5)?;
    expect(
        "nothing",
        ok(directory.owns_nothing(me, WITHIN).await)?,
        false,
    )?;
    one.node.advance(NodeState::Draining);
    let mut released = Vec::new();
    let left = directory
        .release_all(&one.node, WITHIN, &mut released)
        .await;
    expect("whether some are left", ok(left)?, false)?;
    expect("how many", released.len(), 5)?;
    expect("with proofs", released.iter().all(|one| one.proven), true)?;
    expect("owned after", ok(directory.owned(me, WITHIN).await)?, 0)?;
    expect(
        "nothing after",
        ok(directory.owns_nothing(me, WITHIN).await)?,
        true,
    )?;
    let other = one.read(&others).await?;
    expect("another's", other.owner().is_some(), true)
}
