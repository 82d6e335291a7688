//! What a feed delivers.

use std::future::Future;

use tokio::time::timeout;

use super::{Fleet, Harness, Member, Outcome, WITHIN, births::an_id, expect, ok};
use crate::{
    Change, ChangeFeed, Changes, Membership, SessionDirectory, SessionId, directory::NewSession,
};

/// A directory that tells of changes.
pub trait FeedHarness: Harness {
    /// The feed.
    type Feed: ChangeFeed;

    /// A feed of the directory's changes.
    fn feed(&self) -> impl Future<Output = Self::Feed> + Send;
}

type Connected<H> = <<H as FeedHarness>::Feed as ChangeFeed>::Changes;

impl<H: FeedHarness> Fleet<H> {
    async fn changes(&self) -> Result<Connected<H>, String> {
        let connected = self.harness.feed().await.connect().await;
        connected.map_err(|error| format!("the feed does not connect: {error}"))
    }
}

/// Waits until the feed tells of the session.
async fn told(changes: &mut impl Changes, session: &SessionId) -> Outcome {
    let told = async {
        loop {
            match changes.next().await {
                Ok(Change::Session(id)) if id == session.clone() => return Ok(()),
                Ok(Change::All) => return Ok(()),
                Ok(_) => {}
                Err(error) => return Err(format!("the feed failed: {error}")),
            }
        }
    };
    let told = timeout(WITHIN, told).await;
    told.unwrap_or_else(|_| Err("the change is not delivered".to_owned()))
}

pub(super) async fn a_session_that_is_created_is_delivered<H: FeedHarness>(
    fleet: Fleet<H>,
) -> Outcome {
    let mut changes = fleet.changes().await?;
    let session = fleet.session(Some("one")).await?;
    told(&mut changes, &session).await
}

pub(super) async fn a_change_of_owner_is_delivered_and_can_be_read<H: FeedHarness>(
    fleet: Fleet<H>,
) -> Outcome {
    let one: Member<H> = fleet.process("one").await?;
    let session = fleet.session(Some("one")).await?;
    let mut changes = fleet.changes().await?;
    fleet.assign(&session, Some("other")).await?;
    told(&mut changes, &session).await?;
    let read = one.read(&session).await?;
    expect(
        "the owner",
        read.owner().map(crate::MachineId::as_str),
        Some("other"),
    )
}

pub(super) async fn a_claim_is_delivered<H: FeedHarness>(fleet: Fleet<H>) -> Outcome {
    let one = fleet.member("one").await?;
    let session = fleet.session(None).await?;
    let seen = one.read(&session).await?;
    let mut changes = fleet.changes().await?;
    one.claim(seen).await?;
    told(&mut changes, &session).await
}

pub(super) async fn a_release_is_delivered<H: FeedHarness>(fleet: Fleet<H>) -> Outcome {
    let one = fleet.member("one").await?;
    let session = fleet.session(Some("one")).await?;
    let mut changes = fleet.changes().await?;
    ok(one.directory.release(&one.node, &session, u64::MAX).await)?;
    told(&mut changes, &session).await
}

pub(super) async fn an_end_is_delivered<H: FeedHarness>(fleet: Fleet<H>) -> Outcome {
    let session = fleet.session(Some("one")).await?;
    let mut changes = fleet.changes().await?;
    fleet.harness.end(&session).await;
    told(&mut changes, &session).await
}

pub(super) async fn a_session_that_a_machine_creates_is_delivered<H: FeedHarness>(
    fleet: Fleet<H>,
) -> Outcome {
    let one = fleet.member("one").await?;
    let mut changes = fleet.changes().await?;
    let id = an_id();
    one.begin(NewSession::new(id.clone()).lifetime(WITHIN))
        .await?;
    told(&mut changes, &id).await
}

pub(super) async fn a_touch_is_delivered<H: FeedHarness>(fleet: Fleet<H>) -> Outcome {
    let one = fleet.member("one").await?;
    let id = an_id();
    let new = one
        .begin(NewSession::new(id.clone()).lifetime(WITHIN))
        .await?;
    let mut changes = fleet.changes().await?;
    let (me, epoch) = (one.me.machine.clone(), new.epoch().unwrap_or(1));
    let touched = one.directory.touch(id.clone(), me, epoch, 2 * WITHIN).await;
    expect("whether it is touched", ok(touched)?, true)?;
    told(&mut changes, &id).await
}

pub(super) async fn a_ping_is_answered<H: FeedHarness>(fleet: Fleet<H>) -> Outcome {
    let mut changes = fleet.changes().await?;
    changes.ping();
    let answered = timeout(WITHIN, changes.next()).await;
    match answered {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(format!("the feed failed: {error}")),
        Err(_) => Err("nothing is delivered after a ping".to_owned()),
    }
}
