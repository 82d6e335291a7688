//! Sessions that machines create.

use std::time::Duration;

use uuid::Uuid;

use super::{Fleet, Harness, Member, Outcome, expect, number, ok};
use crate::{
    Address, LookupErrorKind, MachineInfo, Membership, Session, SessionDirectory, SessionId,
    SessionLookup, SessionStatus,
    directory::{Created, NewSession},
    ownership::previous_owner_may_serve,
};

pub(super) const MINUTE: Duration = Duration::from_secs(60);

pub(super) fn an_id() -> SessionId {
    SessionId::new(Uuid::from_u64_pair(number(), number()))
}

impl<H: Harness> Member<H> {
    pub(super) async fn create(&self, new: NewSession) -> Result<Created, String> {
        ok(self.directory.create(new, self.me.machine.clone()).await)
    }

    /// Creates a session of which none lives.
    pub(super) async fn begin(&self, new: NewSession) -> Result<Session, String> {
        match self.create(new).await? {
            Created::New(session) => Ok(session),
            Created::Taken(session) => Err(format!("the session is taken: {session:?}")),
        }
    }

    /// Finds that a session of this id lives.
    async fn is_refused(&self, id: SessionId) -> Result<Session, String> {
        match self.create(NewSession::new(id).lifetime(MINUTE)).await? {
            Created::Taken(session) => Ok(session),
            Created::New(session) => Err(format!("the session is created: {session:?}")),
        }
    }

    async fn may_not_create(&self) -> Outcome {
        let id = an_id();
        let new = NewSession::new(id.clone()).lifetime(MINUTE);
        match self.directory.create(new, self.me.machine.clone()).await {
            Err(error) => expect("the error", error.kind(), LookupErrorKind::Unavailable)?,
            Ok(created) => return Err(format!("the machine created it: {created:?}")),
        }
        let found = ok(self.directory.session(id).await)?;
        expect("what was written", found, None)
    }
}

/// Whether the session's owner has to wait for the owner before.
pub(super) fn waits(session: &Session) -> bool {
    previous_owner_may_serve(session.epoch().unwrap_or(0), session.released())
}

pub(super) fn is_between(session: &Session, least: Duration, most: Duration) -> Outcome {
    let remaining = session.remaining();
    if remaining.is_some_and(|left| left > least && left <= most) {
        return Ok(());
    }
    Err(format!(
        "{remaining:?} is left, and not from {least:?} to {most:?}"
    ))
}

pub(super) async fn a_new_session_is_active_and_its_owner_serves_at_once<H: Harness>(
    fleet: Fleet<H>,
) -> Outcome {
    let one = fleet.member("one").await?;
    let id = an_id();
    let new = one
        .begin(NewSession::new(id.clone()).lifetime(MINUTE))
        .await?;
    let read = one.read(&id).await?;
    for session in [&new, &read] {
        expect("the id", session.id(), &id)?;
        expect("the owner", session.owner(), Some(&one.me.machine))?;
        expect("the status", session.status(), SessionStatus::Active)?;
        expect("whether it has an epoch", session.epoch() >= Some(1), true)?;
        expect("whether its owner waits", waits(session), false)?;
        is_between(session, MINUTE / 2, MINUTE)?;
    }
    Ok(())
}

pub(super) async fn a_new_session_expires_by_the_directorys_clock<H: Harness>(
    fleet: Fleet<H>,
) -> Outcome {
    let one = fleet.member("one").await?;
    let id = an_id();
    one.begin(NewSession::new(id.clone()).lifetime(MINUTE))
        .await?;
    fleet.harness.pass(MINUTE / 2).await;
    is_between(&one.read(&id).await?, Duration::ZERO, MINUTE / 2)?;
    fleet.harness.pass(MINUTE / 2).await;
    expect(
        "whether it is over",
        one.read(&id).await?.is_over(Duration::ZERO),
        true,
    )
}

pub(super) async fn a_session_that_lives_is_taken_and_stays_as_it_is<H: Harness>(
    fleet: Fleet<H>,
) -> Outcome {
    let (one, other) = (fleet.member("one").await?, fleet.member("other").await?);
    let born = an_id();
    one.begin(NewSession::new(born.clone()).lifetime(MINUTE))
        .await?;
    for id in [
        born,
        fleet.session(Some("one")).await?,
        fleet.session(None).await?,
    ] {
        let before = other.read(&id).await?;
        for member in [&other, &one] {
            let taken = member.is_refused(id.clone()).await?;
            let found = [taken, other.read(&id).await?];
            for found in found {
                expect("the owner", found.owner(), before.owner())?;
                expect("the epoch", found.epoch(), before.epoch())?;
                let shorter = found.remaining() <= before.remaining();
                expect("whether its expiry stays", shorter, true)?;
            }
        }
    }
    Ok(())
}

pub(super) async fn of_two_machines_that_create_a_session_one_does<H: Harness>(
    fleet: Fleet<H>,
) -> Outcome {
    let (one, other) = (fleet.member("one").await?, fleet.member("other").await?);
    for _ in 0..5 {
        let new = NewSession::new(an_id()).lifetime(MINUTE);
        let both =
            futures_util::future::join(one.create(new.clone()), other.create(new.clone())).await;
        let (winner, new, taken) = match (both.0?, both.1?) {
            (Created::New(new), Created::Taken(taken)) => (&one, new, taken),
            (Created::Taken(taken), Created::New(new)) => (&other, new, taken),
            both => return Err(format!("not exactly one created it: {both:?}")),
        };
        expect("the owner", new.owner(), Some(&winner.me.machine))?;
        expect("who the other learns of", taken.owner(), new.owner())?;
        expect("the epoch", taken.epoch(), new.epoch())?;
    }
    Ok(())
}

pub(super) async fn a_draining_machine_creates_nothing<H: Harness>(fleet: Fleet<H>) -> Outcome {
    let one = fleet.member("one").await?;
    one.drain().await?;
    one.may_not_create().await?;
    // Nor does it begin a new life.
    let id = fleet.session(Some("one")).await?;
    fleet.harness.end(&id).await;
    let before = one.read(&id).await?;
    let new = NewSession::new(id.clone()).lifetime(MINUTE);
    let created = one.directory.create(new, one.me.machine.clone()).await;
    expect("whether it fails", created.is_err(), true)?;
    let after = one.read(&id).await?;
    expect("the owner", after.owner(), before.owner())?;
    expect("the epoch", after.epoch(), before.epoch())
}

pub(super) async fn a_machine_that_has_left_creates_nothing<H: Harness>(
    fleet: Fleet<H>,
) -> Outcome {
    let one = fleet.member("one").await?;
    one.leave(true).await?;
    one.may_not_create().await
}

pub(super) async fn a_machine_that_is_gone_creates_nothing<H: Harness>(fleet: Fleet<H>) -> Outcome {
    let one = fleet.member("one").await?;
    fleet.harness.declare_gone(&one.me.machine).await;
    one.may_not_create().await
}

pub(super) async fn a_superseded_process_creates_nothing<H: Harness>(fleet: Fleet<H>) -> Outcome {
    let (old, _young) = (fleet.member("one").await?, fleet.member("one").await?);
    old.may_not_create().await
}

pub(super) async fn the_address_is_the_machines_unless_the_session_names_one<H: Harness>(
    fleet: Fleet<H>,
) -> Outcome {
    let one = fleet.process("one").await?;
    let info = MachineInfo {
        address: Some("https://one.example".to_owned()),
        ..MachineInfo::default()
    };
    ok(one.directory.register(&one.me, &info).await)?;
    let other = fleet.member("other").await?;
    let named = Address::parse("https://named.example").map_err(|error| error.to_string())?;
    let is_over = fleet.session(Some("one")).await?;
    fleet.harness.end(&is_over).await;
    for id in [an_id(), is_over] {
        let of = |session: &Session| session.address().map(|found| found.host().to_owned());
        let new = NewSession::new(id.clone()).lifetime(MINUTE);
        let told = one.begin(new.clone()).await?;
        expect("the address", of(&told).as_deref(), Some("one.example"))?;
        fleet.harness.end(&id).await;
        let told = one.begin(new.clone().address(named.clone())).await?;
        expect("the address", of(&told).as_deref(), Some("named.example"))?;
        // That of the old life is not the new owner's.
        fleet.harness.end(&id).await;
        expect("the address", of(&other.begin(new).await?), None)?;
        fleet.harness.end(&id).await;
    }
    Ok(())
}
