//! Sessions that are over, and begin another life.

use std::time::Duration;

use super::{
    Fleet, Harness, Outcome,
    births::{MINUTE, an_id, is_between, waits},
    expect, ok,
};
use crate::{Membership, Session, SessionStatus, directory::NewSession};

/// The fleet's lease TTL.
const TTL: Duration = Duration::from_secs(5);

/// Longer than twice the TTL.
const LONG: Duration = Duration::from_secs(11);

pub(super) async fn a_session_that_is_over_begins_a_new_life_at_a_higher_epoch<H: Harness>(
    fleet: Fleet<H>,
) -> Outcome {
    let (one, other) = (fleet.member("one").await?, fleet.member("other").await?);
    let (ended, expired, free) = (fleet.session(Some("one")).await?, an_id(), an_id());
    let brief = Duration::from_secs(1);
    one.begin(NewSession::new(expired.clone()).lifetime(brief))
        .await?;
    fleet.harness.create(&free, None).await;
    let mut last = Vec::new();
    for id in [ended.clone(), expired.clone(), free.clone()] {
        last.push(one.read(&id).await?.epoch());
    }
    fleet.harness.pass(brief).await;
    fleet.harness.end(&ended).await;
    fleet.harness.end(&free).await;
    for (id, mut last) in [ended, expired, free].into_iter().zip(last) {
        // The machine that owned the old life, another one, and the same once more.
        for member in [&one, &other, &other] {
            let new = member
                .begin(NewSession::new(id.clone()).lifetime(MINUTE))
                .await?;
            let read = member.read(&id).await?;
            for session in [&new, &read] {
                expect("the owner", session.owner(), Some(&member.me.machine))?;
                expect("the status", session.status(), SessionStatus::Active)?;
                is_between(session, MINUTE / 2, MINUTE)?;
            }
            expect("whether the epoch rose", new.epoch() > last, true)?;
            expect("the epoch", read.epoch(), new.epoch())?;
            last = new.epoch();
            fleet.harness.end(&id).await;
        }
    }
    Ok(())
}

pub(super) async fn a_new_life_soon_after_the_old_one_waits<H: Harness>(
    fleet: Fleet<H>,
) -> Outcome {
    let (one, other) = (fleet.member("one").await?, fleet.member("other").await?);
    ok(one.directory.agree_ttl(TTL).await)?;
    for member in [&one, &other] {
        let id = fleet.session(Some("one")).await?;
        fleet.harness.end(&id).await;
        fleet.harness.pass(TTL).await;
        let new = member
            .begin(NewSession::new(id.clone()).lifetime(MINUTE))
            .await?;
        expect("whether its owner waits", waits(&new), true)?;
        expect("in the row", waits(&member.read(&id).await?), true)?;
    }
    Ok(())
}

pub(super) async fn a_new_life_long_after_the_old_one_is_served_at_once<H: Harness>(
    fleet: Fleet<H>,
) -> Outcome {
    let (one, other) = (fleet.member("one").await?, fleet.member("other").await?);
    ok(one.directory.agree_ttl(TTL).await)?;
    let (expired, freed) = (an_id(), fleet.session(Some("one")).await?);
    one.begin(NewSession::new(expired.clone()).lifetime(TTL))
        .await?;
    // No proof: an orchestrator took it from its owner.
    fleet.assign(&freed, None).await?;
    fleet.harness.end(&freed).await;
    let ended = [
        fleet.session(Some("one")).await?,
        fleet.session(Some("other")).await?,
    ];
    for id in &ended {
        fleet.harness.end(id).await;
    }
    fleet.harness.pass(LONG + TTL).await;
    for id in [expired, freed].into_iter().chain(ended) {
        let new = other
            .begin(NewSession::new(id.clone()).lifetime(MINUTE))
            .await?;
        expect("whether its owner waits", waits(&new), false)?;
        expect("in the row", waits(&other.read(&id).await?), false)?;
    }
    Ok(())
}

pub(super) async fn a_new_life_waits_while_no_ttl_is_agreed_on<H: Harness>(
    fleet: Fleet<H>,
) -> Outcome {
    let one = fleet.member("one").await?;
    let id = fleet.session(Some("other")).await?;
    fleet.harness.end(&id).await;
    fleet.harness.pass(LONG).await;
    let new = one.begin(NewSession::new(id).lifetime(MINUTE)).await?;
    expect("whether its owner waits", waits(&new), true)
}

pub(super) async fn attributes_are_stored_and_those_of_an_old_life_are_not_kept<H: Harness>(
    fleet: Fleet<H>,
) -> Outcome {
    let one = fleet.member("one").await?;
    let id = an_id();
    let attribute = |session: &Session| {
        let value = session.attributes().get(H::ATTRIBUTE);
        value.and_then(|value| value.as_str().map(ToOwned::to_owned))
    };
    for value in [Some("paid"), None, Some("free")] {
        let attributes = value.map(|value| (H::ATTRIBUTE.to_owned(), value.into()));
        let new = NewSession::new(id.clone()).lifetime(MINUTE);
        let new = one
            .begin(new.attributes(attributes.into_iter().collect()))
            .await?;
        expect("the attribute", attribute(&new).as_deref(), value)?;
        let read = one.read(&id).await?;
        expect("in the row", attribute(&read).as_deref(), value)?;
        fleet.harness.end(&id).await;
    }
    Ok(())
}
