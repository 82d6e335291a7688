//! How long sessions live, and their ends.

use std::time::Duration;

use super::{Fleet, Harness, Member, Outcome, births::an_id, expect, ok};
use crate::{
    MachineId, SessionDirectory, SessionId, SessionStatus,
    directory::{EndIf, NewSession},
};

const MINUTE: Duration = Duration::from_secs(60);

const HOUR: Duration = Duration::from_secs(60 * 60);

impl<H: Harness> Member<H> {
    async fn touch(
        &self,
        session: SessionId,
        machine: &MachineId,
        epoch: Option<u64>,
        lifetime: Duration,
    ) -> Result<bool, String> {
        let epoch = epoch.unwrap_or(0);
        ok(self
            .directory
            .touch(session, machine.clone(), epoch, lifetime)
            .await)
    }

    async fn remaining(&self, session: SessionId) -> Result<Option<Duration>, String> {
        Ok(self.read(&session).await?.remaining())
    }
}

pub(super) async fn a_touch_moves_the_expiry_and_never_back<H: Harness>(
    fleet: Fleet<H>,
) -> Outcome {
    let one = fleet.member("one").await?;
    let (id, me) = (an_id(), &one.me.machine);
    let new = one
        .begin(NewSession::new(id.clone()).lifetime(MINUTE))
        .await?;
    fleet.harness.pass(MINUTE / 2).await;
    for lifetime in [HOUR, MINUTE] {
        let touched = one.touch(id.clone(), me, new.epoch(), lifetime).await?;
        expect("whether it is touched", touched, true)?;
        let left = one.remaining(id.clone()).await?;
        let is_an_hour = left > Some(HOUR / 2) && left <= Some(HOUR);
        expect("whether an hour is left", is_an_hour, true)?;
    }
    let read = one.read(&id).await?;
    expect("the epoch", read.epoch(), new.epoch())
}

pub(super) async fn a_touch_gives_an_endless_session_no_end<H: Harness>(
    fleet: Fleet<H>,
) -> Outcome {
    let one = fleet.member("one").await?;
    let id = an_id();
    let new = one.begin(NewSession::new(id.clone())).await?;
    expect("what is left", new.remaining(), None)?;
    let touched = one
        .touch(id.clone(), &one.me.machine, new.epoch(), MINUTE)
        .await?;
    expect("whether it is touched", touched, true)?;
    expect("what is left", one.remaining(id).await?, None)
}

pub(super) async fn only_the_owner_at_its_epoch_touches<H: Harness>(fleet: Fleet<H>) -> Outcome {
    let (one, other) = (fleet.member("one").await?, fleet.member("other").await?);
    let id = an_id();
    let (me, them) = (&one.me.machine, &other.me.machine);
    let new = one
        .begin(NewSession::new(id.clone()).lifetime(MINUTE))
        .await?;
    let epoch = new.epoch();
    let next = epoch.map(|epoch| epoch + 1);
    for (machine, epoch) in [(them, epoch), (me, next), (me, Some(u64::MAX))] {
        let touched = one.touch(id.clone(), machine, epoch, HOUR).await?;
        expect("whether it is touched", touched, false)?;
    }
    let nowhere = one.touch(an_id(), me, epoch, HOUR).await?;
    expect("whether an unknown one is touched", nowhere, false)?;
    // Away and back again: the same owner at another epoch.
    fleet.assign(&id, Some("other")).await?;
    fleet.assign(&id, Some("one")).await?;
    let touched = one.touch(id.clone(), me, epoch, HOUR).await?;
    expect("whether it is touched", touched, false)?;
    let is_short = one.remaining(id).await? <= Some(MINUTE);
    expect("whether its expiry stays", is_short, true)
}

pub(super) async fn a_session_that_is_over_is_not_touched<H: Harness>(fleet: Fleet<H>) -> Outcome {
    let one = fleet.member("one").await?;
    let (ended, expired) = (an_id(), an_id());
    for id in [ended.clone(), expired] {
        let new = one
            .begin(NewSession::new(id.clone()).lifetime(MINUTE))
            .await?;
        if id == ended {
            fleet.harness.end(&id).await;
        } else {
            fleet.harness.pass(MINUTE).await;
        }
        let touched = one
            .touch(id.clone(), &one.me.machine, new.epoch(), HOUR)
            .await?;
        expect("whether it is touched", touched, false)?;
        expect(
            "whether it is over",
            one.read(&id).await?.is_over(Duration::ZERO),
            true,
        )?;
    }
    Ok(())
}

pub(super) async fn a_session_ends_once_and_keeps_its_owner_and_epoch<H: Harness>(
    fleet: Fleet<H>,
) -> Outcome {
    let one = fleet.member("one").await?;
    for owner in [Some("other"), None] {
        let id = fleet.session(owner).await?;
        let before = one.read(&id).await?;
        for _ in 0..2 {
            let ended = ok(one.directory.end(id.clone(), EndIf::Any).await)?;
            expect("its last epoch", ended, before.epoch())?;
            let after = one.read(&id).await?;
            expect("whether it is over", after.is_over(Duration::ZERO), true)?;
            expect("the owner", after.owner(), before.owner())?;
            expect("the epoch", after.epoch(), before.epoch())?;
        }
    }
    let nowhere = ok(one.directory.end(an_id(), EndIf::Any).await)?;
    expect("an unknown session", nowhere, None)
}

pub(super) async fn an_end_by_an_owner_needs_its_epoch<H: Harness>(fleet: Fleet<H>) -> Outcome {
    let (one, other) = (fleet.member("one").await?, fleet.member("other").await?);
    let id = fleet.session(Some("one")).await?;
    let old = one.read(&id).await?.epoch().unwrap_or(1);
    fleet.assign(&id, Some("other")).await?;
    let epoch = one.read(&id).await?.epoch().unwrap_or(2);
    let end = async |machine: &MachineId, epoch| {
        let machine = machine.clone();
        let condition = EndIf::Owner { machine, epoch };
        ok(one.directory.end(id.clone(), condition).await)
    };
    let (me, them) = (&one.me.machine, &other.me.machine);
    for (machine, epoch) in [(me, old), (me, epoch), (them, old), (them, u64::MAX)] {
        expect("the end", end(machine, epoch).await?, None)?;
        expect(
            "the status",
            one.read(&id).await?.status(),
            SessionStatus::Active,
        )?;
    }
    expect("the end", end(them, epoch).await?, Some(epoch))?;
    expect(
        "whether it is over",
        one.read(&id).await?.is_over(Duration::ZERO),
        true,
    )
}
