//! Giving sessions up: by a release, or by their end where they cannot outlive this process.

use std::time::Duration;

use tokio::time::Instant;
use tracing::info;

use super::{Drained, Member, in_time, status::TARGET};
use crate::{LookupError, Membership, Node, Process};

/// How long ending the sessions of the process before may take, for each attempt to start.
const END_BEFORE: Duration = Duration::from_secs(10);

/// Ends all sessions that the directory holds for the machine of this process, which has just registered
/// it and created none yet: they were in the memory of a process before.
///
/// Those that another writer has locked are given up by this process and ended later, so that one lock
/// does not keep the machine from starting.
pub(super) async fn end_before<D: Membership>(
    directory: &D,
    node: &Node,
    me: &Process,
) -> Result<(), LookupError> {
    let deadline = Instant::now() + END_BEFORE;
    let left = || deadline.saturating_duration_since(Instant::now());
    let (mut ended, mut locked) = (Vec::new(), 0);
    let end_all = async {
        // Registered first and listed then: the process before can add none to them any more.
        loop {
            let mut held = directory.held(&me.machine, left()).await?;
            held.retain(|(session, epoch)| !node.has_given_up(session, *epoch));
            if held.is_empty() {
                return Ok(());
            }
            let those = directory.end_held(me, &held, left(), &mut ended).await?;
            locked += those.len();
            for (session, epoch) in those {
                // Not confirmed, so the heartbeat repeats it.
                let _ = node.begin_release(&session, epoch)?;
            }
        }
    };
    let done = in_time(END_BEFORE, end_all).await;
    if !ended.is_empty() || locked > 0 {
        info!(
            target: TARGET,
            machine = me.machine.as_str(),
            ended = ended.len(),
            locked,
            "sessions that were held in the memory of the process before are ended"
        );
    }
    done
}

impl<D: Membership> Member<D> {
    /// Gives up all sessions that no other writer has locked, and says whether some were left.
    pub(super) async fn give_up(
        &self,
        within: Duration,
        drained: &mut Drained,
    ) -> Result<bool, LookupError> {
        let Self {
            directory,
            node,
            me,
            ..
        } = self;
        if !node.is_volatile() {
            let released = &mut drained.released;
            return directory.release_all(node, within, released).await;
        }
        let deadline = Instant::now() + within;
        let held = directory.held(&me.machine, within).await?;
        let left = deadline.saturating_duration_since(Instant::now());
        let ended = &mut drained.ended;
        Ok(!directory.end_held(me, &held, left, ended).await?.is_empty())
    }

    /// Whether no session is left to give up.
    pub(super) async fn has_given_up_all(&self, within: Duration) -> Result<bool, LookupError> {
        let (directory, me) = (&self.directory, &self.me.machine);
        if self.node.is_volatile() {
            // A directory may count by the status alone those that have ended.
            return Ok(directory.held(me, within).await?.is_empty());
        }
        directory.owns_nothing(me, within).await
    }

    /// Repeats what was given up at least `age` ago and may have failed.
    pub(super) async fn repeat(&self, age: Duration, within: Duration) -> Result<(), LookupError> {
        let Self {
            directory,
            node,
            me,
            ..
        } = self;
        let due = node.unconfirmed_releases(age);
        if !node.is_volatile() {
            for (session, epoch) in due {
                directory.release(node, &session, epoch).await?;
            }
            return Ok(());
        }
        if due.is_empty() {
            return Ok(());
        }
        let mut ended = Vec::new();
        let end = directory.end_held(me, &due, within, &mut ended);
        let locked = in_time(within, end).await?;
        for one in due.iter().filter(|one| !locked.contains(one)) {
            node.confirm_release(&one.0);
        }
        Ok(())
    }
}
