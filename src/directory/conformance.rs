//! What a directory has to do, as cases that any implementation can be run through.
//!
//! Implement [`Harness`] for your directory, and run [`all`] in a test. If it tells of changes,
//! implement [`FeedHarness`], too, and run [`changes`](fn@changes).
//!
//! ```
//! use std::time::Duration;
//! use tower_ownership::{MachineId, MemoryDirectory, Session, SessionId, directory::conformance};
//!
//! struct InMemory(MemoryDirectory, std::sync::Arc<std::sync::Mutex<Duration>>);
//!
//! impl conformance::Harness for InMemory {
//!     type Directory = MemoryDirectory;
//!
//!     async fn fresh(lost_after: Duration) -> Self {
//!         let time = std::sync::Arc::<std::sync::Mutex<Duration>>::default();
//!         let shown = time.clone();
//!         let directory = MemoryDirectory::new()
//!             .with_lost_after(lost_after)
//!             .with_clock(move || *shown.lock().unwrap());
//!         Self(directory, time)
//!     }
//!
//!     async fn process(&self) -> MemoryDirectory {
//!         self.0.another_process()
//!     }
//!
//!     async fn create(&self, id: &SessionId, owner: Option<MachineId>) {
//!         self.0.add(id, owner);
//!     }
//!
//!     async fn assign(&self, id: &SessionId, owner: Option<MachineId>) {
//!         self.0.assign(id, owner);
//!     }
//!
//!     async fn end(&self, id: &SessionId) {
//!         let session = self.0.get(id).unwrap();
//!         self.0.insert(session.with_remaining(Duration::ZERO));
//!     }
//!
//!     async fn forget_machine(&self, machine: &MachineId) {
//!         self.0.forget_machine(machine);
//!     }
//!
//!     async fn declare_gone(&self, machine: &MachineId) {
//!         self.0.declare_gone(machine);
//!     }
//!
//!     async fn pass(&self, time: Duration) {
//!         *self.1.lock().unwrap() += time;
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let failures = conformance::all::<InMemory>().await;
//! assert!(failures.is_empty(), "{failures:#?}");
//! # }
//! ```

use std::{fmt, future::Future, time::Duration};

use crate::{MachineId, Membership, SessionDirectory, SessionId, SessionLookup};

mod births;
mod changes;
mod claims;
mod ends;
mod fleet;
mod lives;
mod machines;
mod rebirths;
mod releases;

pub use changes::FeedHarness;

use fleet::{Fleet, Member};

/// A directory that is tested, and what happens to it from outside.
pub trait Harness: Send + Sync + Sized + 'static {
    /// The directory.
    type Directory: SessionLookup + SessionDirectory + Membership + Clone;

    /// An attribute of its sessions, which is a text or not there.
    const ATTRIBUTE: &str = "tier";

    /// An empty directory, in which a machine is lost after this silence.
    fn fresh(lost_after: Duration) -> impl Future<Output = Self> + Send;

    /// The directory as another process has it.
    fn process(&self) -> impl Future<Output = Self::Directory> + Send;

    /// Creates an active session.
    fn create(&self, id: &SessionId, owner: Option<MachineId>) -> impl Future<Output = ()> + Send;

    /// An orchestrator gives the session to another machine, or to none.
    fn assign(&self, id: &SessionId, owner: Option<MachineId>) -> impl Future<Output = ()> + Send;

    /// The session's life ends.
    fn end(&self, id: &SessionId) -> impl Future<Output = ()> + Send;

    /// The machine is deleted from the directory.
    fn forget_machine(&self, machine: &MachineId) -> impl Future<Output = ()> + Send;

    /// An operator declares the machine gone.
    fn declare_gone(&self, machine: &MachineId) -> impl Future<Output = ()> + Send;

    /// Time passes for the directory, in which no machine beats: for the machines, and for the expiries
    /// and ends of sessions.
    fn pass(&self, time: Duration) -> impl Future<Output = ()> + Send;
}

/// A case that a directory fails.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Failure {
    /// The case.
    pub case: &'static str,
    /// What was found.
    pub found: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.case, self.found)
    }
}

/// What a case came to.
type Outcome = Result<(), String>;

/// After this silence a machine of the cases is lost.
const LOST_AFTER: Duration = Duration::from_secs(20);

/// How long a call may take.
const WITHIN: Duration = Duration::from_secs(5);

macro_rules! cases {
    ($harness:ident, $failures:ident: $($module:ident { $($case:ident)* })*) => {
        $($(
            let fleet = Fleet::<$harness>::fresh().await;
            if let Err(found) = Box::pin($module::$case(fleet)).await {
                $failures.push(Failure { case: stringify!($case), found });
            }
        )*)*
    };
}

/// Runs every case, each on a fresh directory, and returns those that fail.
pub async fn all<H: Harness>() -> Vec<Failure> {
    let mut failures = Vec::new();
    cases! { H, failures:
        claims {
            a_session_without_an_owner_is_claimed_at_the_next_epoch
            of_two_claims_one_wins_and_the_other_learns_who
            a_session_of_a_living_owner_is_not_claimed
            a_session_that_has_ended_is_not_claimed
            a_session_of_a_lost_owner_is_taken_over_at_the_next_epoch
            a_take_over_needs_the_epoch_that_was_seen
            a_draining_machine_claims_nothing
            a_superseded_process_claims_nothing
            an_unknown_session_is_no_error
            a_change_of_owner_raises_the_epoch
        }
        births {
            a_new_session_is_active_and_its_owner_serves_at_once
            a_new_session_expires_by_the_directorys_clock
            a_session_that_lives_is_taken_and_stays_as_it_is
            of_two_machines_that_create_a_session_one_does
            a_draining_machine_creates_nothing
            a_machine_that_has_left_creates_nothing
            a_machine_that_is_gone_creates_nothing
            a_superseded_process_creates_nothing
            the_address_is_the_machines_unless_the_session_names_one
        }
        rebirths {
            a_session_that_is_over_begins_a_new_life_at_a_higher_epoch
            a_new_life_soon_after_the_old_one_waits
            a_new_life_long_after_the_old_one_is_served_at_once
            a_new_life_waits_while_no_ttl_is_agreed_on
            attributes_are_stored_and_those_of_an_old_life_are_not_kept
        }
        lives {
            a_touch_moves_the_expiry_and_never_back
            a_touch_gives_an_endless_session_no_end
            only_the_owner_at_its_epoch_touches
            a_session_that_is_over_is_not_touched
            a_session_ends_once_and_keeps_its_owner_and_epoch
            an_end_by_an_owner_needs_its_epoch
        }
        machines {
            the_first_ttl_is_the_fleets
            a_machine_that_beats_is_alive
            a_machine_that_was_never_registered_was_never_seen
            a_machine_that_is_silent_beside_a_witness_is_lost
            machines_that_are_all_silent_are_not_lost
            a_witness_that_was_silent_itself_is_none
            a_restart_without_leaving_takes_over
            a_restart_after_leaving_takes_nothing_over
            a_retry_of_the_same_process_takes_nothing_over
            an_unclean_leave_makes_the_next_process_take_over
            an_older_process_learns_of_a_younger_one
            a_younger_process_learns_that_the_older_one_is_there
            an_older_process_cannot_leave_for_a_younger_one
            a_forgotten_machine_is_restored_by_its_heartbeat
            a_machine_that_is_gone_neither_beats_nor_registers
            a_machine_that_has_left_is_lost
            a_draining_machine_is_draining
            a_read_tells_a_process_of_its_successor
            a_read_tells_the_address_of_the_owners_last_process
        }
        releases {
            a_release_frees_the_session_and_proves_it
            a_release_during_the_wait_proves_nothing
            a_release_without_membership_proves_nothing
            a_release_after_a_take_over_of_the_machine_proves_nothing
            another_machines_session_is_not_released
            a_session_that_came_back_is_not_released_by_an_old_release
            a_superseded_process_releases_nothing
            all_sessions_are_released_at_once
        }
        ends {
            held_sessions_end_at_once_and_keep_their_owner
            a_held_session_that_came_back_is_not_ended
            a_superseded_process_ends_nothing_it_held
        }
    }
    failures
}

/// Runs every case of a feed of changes, each on a fresh directory, and returns those that fail.
pub async fn changes<H: FeedHarness>() -> Vec<Failure> {
    let mut failures = Vec::new();
    cases! { H, failures:
        changes {
            a_session_that_is_created_is_delivered
            a_change_of_owner_is_delivered_and_can_be_read
            a_claim_is_delivered
            a_release_is_delivered
            an_end_is_delivered
            a_session_that_a_machine_creates_is_delivered
            a_touch_is_delivered
            a_ping_is_answered
        }
    }
    failures
}

fn id(machine: &str) -> Result<MachineId, String> {
    machine
        .parse()
        .map_err(|error: crate::InvalidMachineId| error.to_string())
}

fn ok<T>(result: Result<T, crate::LookupError>) -> Result<T, String> {
    result.map_err(|error| format!("the directory failed: {error}"))
}

#[allow(
    clippy::needless_pass_by_value,
    reason = "a case reads better without references"
)]
fn expect<T: PartialEq + fmt::Debug>(what: &str, found: T, expected: T) -> Outcome {
    if found == expected {
        return Ok(());
    }
    Err(format!("{what}: {found:?} instead of {expected:?}"))
}

fn number() -> u64 {
    crate::random::number()
}
