//! Giving sessions up.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, sleep};
use tokio_postgres::{Row, types::Type};

use super::{PostgresDirectory, epoch, value};
use crate::{
    LookupError, MachineId, Node, NodeState, Released, SessionId,
    postgres::{mode::Mode, queue::Queue, row},
};

/// How long the release of all sessions may take: enough for some hundred thousand of them, as
/// `benches/ownership` measures it.
const ALL: Duration = Duration::from_secs(30);

/// How many sessions one statement gives up, which takes some 0.2 s. Of a statement that does not
/// fit what is left of a drain's time, nothing is done.
const BITE: usize = 5_000;

/// How many sessions are listed at a time.
const LISTED: i64 = 100_000;

/// How long to wait before what is locked is tried again.
const AGAIN: Duration = Duration::from_millis(100);

impl PostgresDirectory {
    /// Gives a session up: this machine stops serving it, and then it has no owner. `None`: the
    /// session is unknown, or this machine does not own it, or not any more.
    ///
    /// Requests that are being served meanwhile go on: the machine has stopped when none of its
    /// layers takes a new one. The row then proves that, so that the next owner may
    /// serve at once, unless this machine was itself still waiting for the owner before it, keeps no
    /// [heartbeat](Self::heartbeat), or is a process whose predecessor had not left and may still be
    /// serving: until one [TTL](Node::lease_ttl) after it has registered.
    ///
    /// # Errors
    /// However it fails, this machine serves the session no more at this epoch, since it may have
    /// been given up all the same. Its heartbeat, if it keeps one, repeats the release until it is
    /// done. An error also if another process registered this machine id, to which the session then
    /// belongs; and, before anything is given up, at the [cap](Node::begin_release) of releases.
    pub async fn release(
        &self,
        session: &SessionId,
        node: &Node,
    ) -> Result<Option<Released>, LookupError> {
        self.release_at(session, node, u64::MAX).await
    }

    /// The same, unless the session is at a later epoch than `last`, at which it was given to this
    /// machine again.
    pub(in crate::postgres) async fn release_at(
        &self,
        session: &SessionId,
        node: &Node,
        last: u64,
    ) -> Result<Option<Released>, LookupError> {
        let (lookup, me) = (self.lookup(), node.machine());
        let deadline = lookup.connections.deadline();
        let found = Queue::answer(lookup, session, deadline).await?;
        let found = found.filter(|found| found.owner() == Some(me));
        let Some(found) = found.filter(|found| found.epoch().is_none_or(|epoch| epoch <= last))
        else {
            // A release whose answer was lost is done, as the second one finds.
            node.confirm_release(session);
            return Ok(None);
        };
        let at = found.epoch().and_then(|epoch| i64::try_from(epoch).ok());
        let (Some(epoch), Some(at)) = (found.epoch(), at) else {
            return Err(LookupError::corrupt("the session has no epoch"));
        };
        let release = node.begin_release(session, epoch)?;
        let (has_waited, is_alone) = (release.has_waited(), node.is_alone());
        let Some(id) = lookup.query.ids().value(session) else {
            return Ok(None);
        };
        let boot_id = lookup.nodes.boot_id(me);
        let rows = lookup
            .connections
            // A second time, it could not tell whether the first had done it.
            .run_shared(
                Mode::WRITE_ONCE,
                &self.statements.release,
                &[
                    (&me.as_str(), Type::TEXT),
                    (&boot_id, Type::UUID),
                    id.parameter(),
                    (&at, Type::INT8),
                    (&has_waited, Type::BOOL),
                    (&is_alone, Type::BOOL),
                ],
                deadline,
            )
            .await?;
        let mut released = read(&rows)?;
        release.confirm();
        Ok(released.pop())
    }

    /// Gives up all active sessions of the node's machine, within 30 s, and returns which. The node
    /// first becomes [`Draining`](NodeState::Draining) if it is not yet: it serves and claims nothing
    /// any more, for good. Sessions whose rows other transactions keep
    /// locked for all that time are left.
    ///
    /// # Errors
    /// They leave open which sessions were given up. Call it again: it returns those that were not.
    pub async fn release_all(&self, node: &Node) -> Result<Vec<Released>, LookupError> {
        let deadline = Instant::now() + ALL;
        let mut released = Vec::new();
        while self.release_all_by(node, deadline, &mut released).await?
            && Instant::now() + AGAIN < deadline
        {
            sleep(AGAIN).await;
        }
        Ok(released)
    }

    /// Gives up the rows that no other transaction has locked, bite by bite, and adds them to
    /// `released`. Whether some were left.
    ///
    /// One statement for all would wait for the first row that another transaction has locked, for
    /// all of the drain's time, and then nothing would be given up.
    pub(in crate::postgres) async fn release_all_by(
        &self,
        node: &Node,
        deadline: Instant,
        released: &mut Vec<Released>,
    ) -> Result<bool, LookupError> {
        // Before anything is written: a proof says that the owner had stopped.
        node.advance(NodeState::Draining);
        let waited_out = node.waited_out();
        let owned = self.owned_by(node.machine(), deadline).await?;
        let known: Vec<_> = owned.iter().filter_map(Clone::clone).collect();
        let before = released.len();
        for bite in known.chunks(BITE) {
            let waited = bite.iter().filter(|one| waited_out.contains(one));
            let (ids, epochs): (Vec<_>, Vec<_>) = waited
                // One too large is none of the table's.
                .map(|(id, epoch)| (id.clone(), i64::try_from(*epoch).unwrap_or(-1)))
                .unzip();
            let these: Vec<_> = bite.iter().map(|(id, _)| id.clone()).collect();
            let sql = &self.statements.release_these;
            let bite = self.release_bite(node, sql, &these, (&ids, &epochs), deadline);
            released.extend(bite.await?);
        }
        let mut done = released.len() - before;
        if known.len() < owned.len() {
            // Those whose ids no client can ask for.
            let these: Vec<_> = known.iter().map(|(id, _)| id.clone()).collect();
            let sql = &self.statements.release_others;
            let bite = self.release_bite(node, sql, &these, (&[], &[]), deadline);
            bite.await?;
            done += owned.len() - known.len();
        }
        Ok(done < owned.len() || i64::try_from(owned.len()) == Ok(LISTED))
    }

    /// The machine's active sessions with their epochs; `None`: one whose id no client can ask for.
    async fn owned_by(
        &self,
        machine: &MachineId,
        deadline: Instant,
    ) -> Result<Vec<Option<(SessionId, u64)>>, LookupError> {
        let parameters = [
            (&machine.as_str() as _, Type::TEXT),
            (&LISTED as _, Type::INT8),
        ];
        let (sql, connections) = (&self.statements.owned, &self.lookup.connections);
        let rows = connections
            .run_shared(Mode::LIST, sql, &parameters, deadline)
            .await?;
        rows.iter()
            .map(|row| {
                let epoch = epoch(value(row, "epoch")?)?;
                Ok(row::id(row).map(|id| (id, epoch)))
            })
            .collect()
    }

    async fn release_bite(
        &self,
        node: &Node,
        sql: &Arc<str>,
        these: &[SessionId],
        (waited, epochs): (&[SessionId], &[i64]),
        deadline: Instant,
    ) -> Result<Vec<Released>, LookupError> {
        let (lookup, me) = (self.lookup(), node.machine());
        let boot_id = lookup.nodes.boot_id(me);
        let is_alone = node.is_alone();
        let ids = lookup.query.ids();
        let (these, waited) = (ids.values(these), ids.values(waited));
        let rows = lookup
            .connections
            .run_shared(
                Mode::WRITE_MUCH,
                sql,
                &[
                    (&me.as_str(), Type::TEXT),
                    (&boot_id, Type::UUID),
                    these.parameter(),
                    waited.parameter(),
                    (&epochs, Type::INT8_ARRAY),
                    (&is_alone, Type::BOOL),
                ],
                deadline,
            )
            .await?;
        read(&rows)
    }
}

pub(super) fn read(rows: &[Row]) -> Result<Vec<Released>, LookupError> {
    let mut released = Vec::with_capacity(rows.len());
    for row in rows {
        let why = match value::<i16>(row, "machine")? {
            1 => "another process registered this machine id, and its sessions are that one's now",
            2 => "this machine has no row in the table of machines; its next heartbeat restores it",
            _ => {
                // One that has no id which could be asked for has been given up like the others.
                if let Some(session) = row::id(row) {
                    released.push(Released {
                        session,
                        epoch: epoch(value(row, "epoch")?)?,
                        proven: value(row, "proven")?,
                    });
                }
                continue;
            }
        };
        return Err(LookupError::unavailable(why));
    }
    Ok(released)
}
