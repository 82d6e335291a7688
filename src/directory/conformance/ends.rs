//! Ending what a process holds.

use super::{Fleet, Harness, Outcome, WITHIN, expect, ok};
use crate::{Membership, SessionStatus};

pub(super) async fn held_sessions_end_at_once_and_keep_their_owner<H: Harness>(
    fleet: Fleet<H>,
) -> Outcome {
    let one = fleet.member("one").await?;
    for _ in 0..5 {
        fleet.session(Some("one")).await?;
    }
    let (over, others) = (
        fleet.session(Some("one")).await?,
        fleet.session(Some("other")).await?,
    );
    fleet.harness.end(&over).await;
    let (directory, me) = (&one.directory, &one.me.machine);
    let held = ok(directory.held(me, WITHIN).await)?;
    expect("held before", held.len(), 5)?;
    let mut ended = Vec::new();
    let left = ok(directory.end_held(&one.me, &held, WITHIN, &mut ended).await)?;
    expect("left", left, Vec::new())?;
    expect("ended", ended.len(), 5)?;
    for (session, epoch) in &ended {
        let after = one.read(session).await?;
        expect("the status", after.is_over(std::time::Duration::ZERO), true)?;
        expect("the owner", after.owner(), Some(me))?;
        expect("the epoch", after.epoch(), Some(*epoch))?;
    }
    expect("held after", ok(directory.held(me, WITHIN).await)?.len(), 0)?;
    let other = one.read(&others).await?;
    expect("another's", other.status(), SessionStatus::Active)?;
    let again = ok(directory.end_held(&one.me, &held, WITHIN, &mut ended).await)?;
    expect("left the second time", again, Vec::new())?;
    expect("ended in all", ended.len(), 5)
}

pub(super) async fn a_held_session_that_came_back_is_not_ended<H: Harness>(
    fleet: Fleet<H>,
) -> Outcome {
    let one = fleet.member("one").await?;
    let session = fleet.session(Some("one")).await?;
    let held = ok(one.directory.held(&one.me.machine, WITHIN).await)?;
    fleet.assign(&session, None).await?;
    fleet.assign(&session, Some("one")).await?;
    let mut ended = Vec::new();
    ok(one
        .directory
        .end_held(&one.me, &held, WITHIN, &mut ended)
        .await)?;
    expect("ended", ended, Vec::new())?;
    let after = one.read(&session).await?;
    expect("the status", after.status(), SessionStatus::Active)
}

pub(super) async fn a_superseded_process_ends_nothing_it_held<H: Harness>(
    fleet: Fleet<H>,
) -> Outcome {
    let (old, young) = (fleet.member("one").await?, fleet.member("one").await?);
    let session = fleet.session(Some("one")).await?;
    let held = ok(old.directory.held(&old.me.machine, WITHIN).await)?;
    let ended = old
        .directory
        .end_held(&old.me, &held, WITHIN, &mut Vec::new())
        .await;
    expect("whether it fails", ended.is_err(), true)?;
    let after = young.read(&session).await?;
    expect("the status", after.status(), SessionStatus::Active)
}
