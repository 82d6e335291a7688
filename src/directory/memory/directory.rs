//! What machines write about sessions.

use std::time::Duration;

use super::{Memory, MemoryDirectory, epoch_of, stored::Stored};
use crate::{
    LookupError, MachineId, OwnerStatus, Session, SessionDirectory, SessionId, SessionStatus,
    directory::{Claimed, Created, EndIf, NewSession},
};

impl SessionDirectory for MemoryDirectory {
    async fn claim(
        &self,
        seen: Session,
        machine: MachineId,
    ) -> Result<Option<Claimed>, LookupError> {
        let mine = self.nodes.boot_id(&machine);
        let mut guard = self.write();
        let memory = &mut *guard;
        let time = memory.fleet.now();
        let silent_for = seen
            .owner()
            .and_then(|owner| memory.fleet.silence_of(owner));
        let Some(stored) = memory.sessions.get_mut(seen.id()) else {
            return Ok(None);
        };
        let now = &stored.session;
        let is_free = match seen.owner() {
            None => now.owner().is_none(),
            Some(owner) => {
                let is_lost =
                    now.owner_status() == OwnerStatus::Lost || memory.fleet.is_lost(owner);
                now.owner() == Some(owner) && now.epoch() == seen.epoch() && is_lost
            }
        };
        let lives = now.status() == SessionStatus::Active && !stored.is_over(time);
        if lives
            && is_free
            && memory
                .fleet
                .may_claim(&machine, mine, seen.owner().is_some())
        {
            let epoch = epoch_of(now) + 1;
            let address = memory.fleet.address_of(&machine);
            let claimed = now
                .clone()
                .with_owner(machine)
                .with_epoch(epoch)
                .with_owner_status(OwnerStatus::Unknown);
            stored.session = match address {
                Some(address) => claimed.with_address(address),
                None => claimed,
            };
            memory.changed(Some(seen.id()));
        }
        drop(guard);
        let now = self.get(seen.id());
        Ok(now.map(|session| Claimed::from(session).after_silence(silent_for)))
    }

    async fn create(&self, new: NewSession, machine: MachineId) -> Result<Created, LookupError> {
        let id = self.ids.admit(new.id).ok_or_else(|| {
            LookupError::unavailable("the session's id is none that this directory can hold")
        })?;
        self.nodes.may_create(&machine)?;
        let mine = self.nodes.boot_id(&machine);
        let mut memory = self.write();
        let now = memory.fleet.now();
        let old = memory.sessions.get(&id);
        let is_new = old.is_none_or(|old| old.is_over(now));
        if is_new {
            if !memory.fleet.may_claim(&machine, mine, false) {
                return Err(LookupError::unavailable(
                    "the machine may not create sessions: it is draining, has left or was declared \
                     gone, or another process registered it",
                ));
            }
            let (epoch, released) = memory.next_life(&id, now);
            let mut session = Session::owned_by(id.clone(), machine.clone())
                .with_epoch(epoch)
                .with_attributes(new.attributes);
            if let Some(released) = released {
                session = session.with_released(released);
            }
            if let Some(address) = new.address.or_else(|| memory.fleet.address_of(&machine)) {
                session = session.with_address(address);
            }
            if let Some(lifetime) = new.lifetime {
                session = session.with_remaining(lifetime);
            }
            memory
                .sessions
                .insert(id.clone(), Stored::new(session, now));
            memory.changed(Some(&id));
        }
        drop(memory);
        let session = self.get(&id);
        // Another caller may remove it before it is read.
        let session =
            session.ok_or_else(|| LookupError::unavailable("the session was removed again"))?;
        Ok(if is_new {
            Created::New(session)
        } else {
            Created::Taken(session)
        })
    }

    async fn touch(
        &self,
        session: SessionId,
        machine: MachineId,
        epoch: u64,
        lifetime: Duration,
    ) -> Result<bool, LookupError> {
        let mut memory = self.write();
        let now = memory.fleet.now();
        let Some(stored) = memory.sessions.get_mut(&session) else {
            return Ok(false);
        };
        if stored.is_over(now) || !is_owned(&stored.session, &machine, epoch) {
            return Ok(false);
        }
        if let Some(ends_at) = stored.ends_at {
            // More than the clock can count is as good as no end.
            stored.ends_at = now.checked_add(lifetime).map(|later| later.max(ends_at));
        }
        memory.changed(Some(&session));
        Ok(true)
    }

    async fn end(&self, session: SessionId, condition: EndIf) -> Result<Option<u64>, LookupError> {
        let mut memory = self.write();
        let now = memory.fleet.now();
        let Some(stored) = memory.sessions.get_mut(&session) else {
            return Ok(None);
        };
        let is_as_asked = match &condition {
            EndIf::Any => true,
            EndIf::Owner { machine, epoch } => is_owned(&stored.session, machine, *epoch),
        };
        if !is_as_asked {
            return Ok(None);
        }
        let epoch = epoch_of(&stored.session);
        if !stored.is_over(now) {
            stored.session = stored.session.clone().with_status(SessionStatus::Over);
            stored.ends_at = Some(now);
            memory.changed(Some(&session));
        }
        Ok(Some(epoch))
    }
}

fn is_owned(session: &Session, machine: &MachineId, epoch: u64) -> bool {
    session.owner() == Some(machine) && epoch_of(session) == epoch
}

impl Memory {
    /// The epoch of the life that begins `now`, and its release proof.
    fn next_life(&self, id: &SessionId, now: Duration) -> (u64, Option<u64>) {
        let Some(old) = self.sessions.get(id) else {
            return (1, None);
        };
        let before = epoch_of(&old.session);
        if old.session.owner().is_none() {
            let released = old.session.released().filter(|proof| *proof == before);
            let released = released.or_else(|| self.is_long_over(old, now).then_some(before));
            return (before + 1, released);
        }
        // Given up once, and taken once.
        let released = self.is_long_over(old, now).then_some(before + 1);
        (before + 2, released)
    }

    /// Whether no lease of its last owner can be valid any more.
    fn is_long_over(&self, old: &Stored, now: Duration) -> bool {
        let ended = old.ended_ago(now).zip(self.fleet.ttl);
        ended.is_some_and(|(ago, ttl)| ago > ttl.saturating_mul(2))
    }
}
