//! A short pause for a session whose claims fail.

use quick_cache::sync::Cache as Table;

use crate::{LookupError, SessionId, clock::Tick};

/// The pause after the first failure, in milliseconds; doubled with each that follows.
const FIRST: u64 = 100;

/// How often it is doubled: up to 3.2 s.
const DOUBLED: u32 = 5;

/// How many sessions are remembered. Losing one costs an early attempt.
const SESSIONS: usize = 1_024;

/// Sessions whose last claim failed, and when the next may be made.
///
/// Single flight keeps one session to one claim at a time, but a client that retries at once would
/// keep that one going, and with it one of the few connections that claims have. A pause of the
/// session's own, and not the lookups' `HoldDown`: a claim that fails for one
/// session (a constraint, a missing privilege, a lock) says nothing about the others' lookups.
pub(super) struct ClaimPauses(Table<SessionId, Failed>);

#[derive(Clone)]
struct Failed {
    in_a_row: u32,
    until: Tick,
    error: LookupError,
}

impl ClaimPauses {
    pub(super) fn new() -> Self {
        Self(Table::new(SESSIONS))
    }

    /// Why the session may not be claimed now, if it may not.
    pub(super) fn refusal(&self, id: &SessionId, now: Tick) -> Option<LookupError> {
        let failed = self.0.get(id)?;
        (now < failed.until).then_some(failed.error)
    }

    pub(super) fn note<T>(&self, id: &SessionId, answer: &Result<T, LookupError>, now: Tick) {
        let Err(error) = answer else {
            self.0.remove(id);
            return;
        };
        let before = self.0.peek(id).map_or(0, |failed| failed.in_a_row);
        let pause = FIRST << before.min(DOUBLED);
        let failed = Failed {
            in_a_row: before.saturating_add(1),
            until: Tick(now.0 + pause),
            error: error.clone(),
        };
        self.0.insert(id.clone(), failed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failure_doubles_the_pause_and_a_success_ends_it() {
        let id = SessionId::new(uuid::Uuid::from_u128(7));
        let pauses = ClaimPauses::new();
        let fail = |now| {
            pauses.note(
                &id,
                &Err::<(), _>(LookupError::unavailable("no")),
                Tick(now),
            );
        };
        for (failures, pause) in [100, 200, 400, 800, 1_600, 3_200, 3_200]
            .into_iter()
            .enumerate()
        {
            let now = 10_000 * (failures as u64 + 1);
            fail(now);
            assert!(pauses.refusal(&id, Tick(now + pause - 1)).is_some());
            assert!(pauses.refusal(&id, Tick(now + pause)).is_none());
        }
        fail(100_000);
        pauses.note(&id, &Ok(()), Tick(100_001));
        assert!(pauses.refusal(&id, Tick(100_001)).is_none());
    }
}
