//! Machines that keep themselves alive in memory.

use std::time::Duration;

use super::{MemoryDirectory, epoch_of, fleet::Machine};
use crate::{
    Address, Beat, LookupError, MachineId, MachineInfo, Membership, Node, Process, Registration,
    Released, SessionId, SessionStatus, ownership::previous_owner_may_serve,
};

impl Membership for MemoryDirectory {
    fn lost_after(&self) -> Duration {
        self.read().fleet.lost_after
    }

    async fn agree_ttl(&self, ours: Duration) -> Result<Duration, LookupError> {
        Ok(*self.write().fleet.ttl.get_or_insert(ours))
    }

    async fn register(
        &self,
        me: &Process,
        info: &MachineInfo,
    ) -> Result<Registration, LookupError> {
        let mut memory = self.write();
        let fleet = &mut memory.fleet;
        if fleet.is_gone(&me.machine) {
            return Ok(Registration::Removed);
        }
        let now = fleet.now();
        let before = fleet.get(&me.machine);
        let was_there = before.is_some();
        let took_over = before.is_some_and(|before| {
            before.took_over || !before.has_left && before.boot_id != me.boot_id
        });
        let machine = Machine {
            boot_id: me.boot_id,
            address: address(info)?,
            draining: false,
            beat_at: now,
            steady_since: now,
            has_left: false,
            rival: None,
            took_over,
        };
        fleet.put(me.machine.clone(), machine);
        Ok(if took_over {
            Registration::TookOver
        } else if was_there {
            Registration::Again
        } else {
            Registration::First
        })
    }

    async fn beat(
        &self,
        me: &Process,
        info: &MachineInfo,
        _within: Duration,
    ) -> Result<Beat, LookupError> {
        self.beat_now(me, info, false)
    }

    async fn set_draining(
        &self,
        me: &Process,
        info: &MachineInfo,
        _within: Duration,
    ) -> Result<Beat, LookupError> {
        self.beat_now(me, info, true)
    }

    async fn leave(&self, me: &Process, clean: bool, _within: Duration) -> Result<(), LookupError> {
        let mut memory = self.write();
        if let Some(machine) = memory.fleet.get(&me.machine)
            && machine.boot_id == me.boot_id
        {
            machine.has_left = true;
            machine.took_over &= !clean;
        }
        Ok(())
    }

    async fn release(
        &self,
        node: &Node,
        session: &SessionId,
        last: u64,
    ) -> Result<Option<Released>, LookupError> {
        let now = self.get(session);
        let now = now.filter(|now| now.owner() == Some(node.machine()));
        let Some(now) = now.filter(|now| epoch_of(now) <= last) else {
            node.confirm_release(session);
            return Ok(None);
        };
        let epoch = epoch_of(&now);
        let release = node.begin_release(session, epoch)?;
        let released = self.release_at(node, session, epoch, release.has_waited())?;
        release.confirm();
        Ok(released)
    }

    async fn release_all(
        &self,
        node: &Node,
        _within: Duration,
        released: &mut Vec<Released>,
    ) -> Result<bool, LookupError> {
        let waited = node.waited_out();
        for (session, epoch) in self.owned_by(node.machine()) {
            let has_waited = waited.contains(&(session.clone(), epoch));
            released.extend(self.release_at(node, &session, epoch, has_waited)?);
        }
        Ok(false)
    }

    async fn held(
        &self,
        me: &MachineId,
        _within: Duration,
    ) -> Result<Vec<(SessionId, u64)>, LookupError> {
        Ok(self.held_by(me))
    }

    async fn end_held(
        &self,
        me: &Process,
        sessions: &[(SessionId, u64)],
        _within: Duration,
        ended: &mut Vec<(SessionId, u64)>,
    ) -> Result<Vec<(SessionId, u64)>, LookupError> {
        self.end_of(me, sessions, ended).map(|()| Vec::new())
    }

    async fn owned(&self, me: &MachineId, _within: Duration) -> Result<usize, LookupError> {
        Ok(self.owned_by(me).len())
    }

    fn joined(&self, node: &Node) -> bool {
        self.nodes.joined(node)
    }

    fn left(&self, node: &Node) {
        self.nodes.left(node);
    }
}

impl MemoryDirectory {
    fn beat_now(&self, me: &Process, info: &MachineInfo, drain: bool) -> Result<Beat, LookupError> {
        let mut memory = self.write();
        let fleet = &mut memory.fleet;
        let now = fleet.now();
        if fleet.is_gone(&me.machine) {
            return Ok(Beat::Removed);
        }
        let Some(machine) = fleet.get(&me.machine).map(|machine| machine.clone()) else {
            let machine = Machine {
                boot_id: me.boot_id,
                address: address(info)?,
                draining: info.draining || drain,
                beat_at: now,
                steady_since: now,
                has_left: false,
                rival: None,
                took_over: true,
            };
            fleet.put(me.machine.clone(), machine);
            return Ok(Beat::Restored);
        };
        if machine.boot_id != me.boot_id {
            let by = machine.boot_id;
            let rival = i64::try_from(now.as_micros()).unwrap_or(i64::MAX);
            let machine = Machine {
                rival: Some(rival),
                ..machine
            };
            fleet.put(me.machine.clone(), machine);
            return Ok(Beat::Superseded { by });
        }
        let machine = Machine {
            steady_since: fleet.steady_since(&machine),
            beat_at: now,
            draining: machine.draining || drain,
            ..machine
        };
        let rival = machine.rival;
        fleet.put(me.machine.clone(), machine);
        Ok(Beat::Alive { rival })
    }

    fn owned_by(&self, owner: &MachineId) -> Vec<(SessionId, u64)> {
        let memory = self.read();
        let now = memory.fleet.now();
        let sessions = memory.sessions.values().map(|stored| stored.read(now));
        let mine = sessions.filter(|session| {
            session.owner() == Some(owner)
                && session.status() == SessionStatus::Active
                && !session.is_over(Duration::ZERO)
        });
        mine.map(|session| (session.id().clone(), epoch_of(&session)))
            .collect()
    }

    /// Gives the session up if the machine still owns it at this epoch.
    fn release_at(
        &self,
        node: &Node,
        id: &SessionId,
        epoch: u64,
        has_waited: bool,
    ) -> Result<Option<Released>, LookupError> {
        let mut memory = self.write();
        let registered = memory.fleet.get(node.machine()).map(|one| one.boot_id);
        if node.boot_id().is_some() && registered != node.boot_id() {
            return Err(LookupError::unavailable(
                "another process registered this machine id, and its sessions are that one's now",
            ));
        }
        let Some(stored) = memory.sessions.get_mut(id) else {
            return Ok(None);
        };
        let session = &mut stored.session;
        if session.owner() != Some(node.machine()) || epoch_of(session) != epoch {
            return Ok(None);
        }
        // The write of a process that is not a member may land after the machine was restarted, and
        // the proof would be that of a process which serves.
        let proven = node.boot_id().is_some()
            && node.is_alone()
            && (has_waited || !previous_owner_may_serve(epoch, session.released()));
        let free = session.clone().without_owner().with_epoch(epoch + 1);
        *session = if proven {
            free.with_released(epoch + 1)
        } else {
            free
        };
        memory.changed(Some(id));
        Ok(Some(Released::new(id.clone(), epoch + 1, proven)))
    }
}

fn address(info: &MachineInfo) -> Result<Option<Address>, LookupError> {
    let parse = |text: &String| Address::parse(text);
    let address = info.address.as_ref().map(parse).transpose();
    address.map_err(|_| LookupError::corrupt("the machine's address is no address"))
}
