//! The cases that every directory has to pass: the memory passes them, and a directory with a mistake
//! fails those that are there for it.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use tower_ownership::{
    LookupError, MachineId, MemoryDirectory, Node, OwnerStatus, Session, SessionDirectory,
    SessionId, SessionLookup, SessionStatus,
    directory::conformance::{self, FeedHarness, Harness},
    directory::{
        Beat, Change, ChangeFeed, Changes, Claimed, Created, EndIf, FeedError, MachineInfo,
        Membership, MemoryChanges, NewSession, Process, Registration, Released,
    },
};

/// What a directory gets wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mistake {
    None,
    /// A claim compares nothing with what was seen.
    ClaimsBlindly,
    /// Every registration reports a first start, also that of a restart.
    AlwaysFirst,
    /// A heartbeat counts for whichever process registered last.
    BeatsForAnyProcess,
    /// A process that leaves takes the machine from a younger one.
    LeavesForAnyProcess,
    /// Every release has a proof.
    AlwaysProves,
    /// Silence alone makes a machine lost.
    LosesWithoutWitness,
    /// A read does not tell a process that another one registered its machine.
    TellsNoProcessesApart,
    /// A change of owner keeps the epoch.
    KeepsTheEpoch,
    /// Every machine decides about the TTL for itself.
    AgreesOnNothing,
    /// A session that lives is replaced by the new one.
    CreatesOverOthers,
    /// A new life begins as if there had been none before.
    BeginsAtTheFirstEpoch,
    /// A new life has a proof, however soon after the old one it begins.
    ProvesEveryBirth,
    /// A touch compares nothing with the owner and its epoch.
    TouchesForAnyMachine,
    /// A touch sets the expiry also where it is later.
    ShortensLives,
    /// An end compares nothing with its condition.
    EndsForAnyMachine,
    /// A process ends what it held also after another one registered its machine.
    EndsForAnyProcess,
    /// What a machine held is ended at whatever epoch it owns it.
    EndsAtAnyEpoch,
    /// The feed tells of nothing that this crate writes.
    TellsOnlyOfOthers,
    /// The feed sends nothing when it is asked to.
    AnswersNoPing,
}

const MISTAKES: [Mistake; 20] = [
    Mistake::None,
    Mistake::ClaimsBlindly,
    Mistake::AlwaysFirst,
    Mistake::BeatsForAnyProcess,
    Mistake::LeavesForAnyProcess,
    Mistake::AlwaysProves,
    Mistake::LosesWithoutWitness,
    Mistake::TellsNoProcessesApart,
    Mistake::KeepsTheEpoch,
    Mistake::AgreesOnNothing,
    Mistake::TellsOnlyOfOthers,
    Mistake::AnswersNoPing,
    Mistake::CreatesOverOthers,
    Mistake::BeginsAtTheFirstEpoch,
    Mistake::ProvesEveryBirth,
    Mistake::TouchesForAnyMachine,
    Mistake::ShortensLives,
    Mistake::EndsForAnyMachine,
    Mistake::EndsForAnyProcess,
    Mistake::EndsAtAnyEpoch,
];

/// The memory with mistake number `M`, on a clock that is moved by hand.
struct Memory<const M: usize> {
    directory: MemoryDirectory,
    time: Arc<Mutex<Duration>>,
    last: Arc<Mutex<Option<Process>>>,
}

impl<const M: usize> Memory<M> {
    const MISTAKE: Mistake = MISTAKES[M];
}

impl<const M: usize> Harness for Memory<M> {
    type Directory = Wrong<M>;

    async fn fresh(lost_after: Duration) -> Self {
        let time = Arc::<Mutex<Duration>>::default();
        let shown = Arc::clone(&time);
        let directory = MemoryDirectory::new()
            .with_lost_after(lost_after)
            .with_clock(move || *shown.lock().unwrap());
        Self {
            directory,
            time,
            last: Arc::default(),
        }
    }

    async fn process(&self) -> Wrong<M> {
        Wrong {
            inner: self.directory.another_process(),
            last: Arc::clone(&self.last),
        }
    }

    async fn create(&self, id: &SessionId, owner: Option<MachineId>) {
        self.directory.add(id, owner);
    }

    async fn assign(&self, id: &SessionId, owner: Option<MachineId>) {
        if Self::MISTAKE == Mistake::KeepsTheEpoch {
            let session = self.directory.get(id).unwrap();
            let free = session
                .with_owner_status(OwnerStatus::Unknown)
                .without_owner();
            self.directory.insert(match owner {
                Some(owner) => free.with_owner(owner),
                None => free,
            });
        } else {
            assert!(self.directory.assign(id, owner));
        }
    }

    async fn end(&self, id: &SessionId) {
        let session = self.directory.get(id).unwrap();
        self.directory
            .insert(session.with_remaining(Duration::ZERO));
    }

    async fn forget_machine(&self, machine: &MachineId) {
        self.directory.forget_machine(machine);
    }

    async fn declare_gone(&self, machine: &MachineId) {
        self.directory.declare_gone(machine);
    }

    async fn pass(&self, time: Duration) {
        *self.time.lock().unwrap() += time;
    }
}

impl<const M: usize> FeedHarness for Memory<M> {
    type Feed = Self;

    async fn feed(&self) -> Self {
        Self {
            directory: self.directory.clone(),
            time: Arc::clone(&self.time),
            last: Arc::clone(&self.last),
        }
    }
}

impl<const M: usize> ChangeFeed for Memory<M> {
    type Changes = Told<M>;

    async fn connect(&self) -> Result<Told<M>, FeedError> {
        Ok(Told {
            inner: self.directory.connect().await?,
            directory: self.directory.clone(),
        })
    }
}

struct Told<const M: usize> {
    inner: MemoryChanges,
    directory: MemoryDirectory,
}

impl<const M: usize> Changes for Told<M> {
    async fn next(&mut self) -> Result<Change, FeedError> {
        loop {
            let change = self.inner.next().await?;
            let is_ours =
                |session: Session| session.owner().is_none_or(|one| one.as_str() == "one");
            match change {
                // The cases claim for `one`, and release to no machine.
                Change::Session(id)
                    if MISTAKES[M] == Mistake::TellsOnlyOfOthers
                        && self.directory.get(&id).is_some_and(is_ours) => {}
                change => return Ok(change),
            }
        }
    }

    fn ping(&mut self) {
        if MISTAKES[M] != Mistake::AnswersNoPing {
            self.inner.ping();
        }
    }
}

fn is_over(session: &Session) -> bool {
    session.status() == SessionStatus::Over || session.remaining() == Some(Duration::ZERO)
}

#[derive(Clone)]
struct Wrong<const M: usize> {
    inner: MemoryDirectory,
    /// The process that registered last.
    last: Arc<Mutex<Option<Process>>>,
}

impl<const M: usize> Wrong<M> {
    const MISTAKE: Mistake = MISTAKES[M];

    /// The process that the directory takes `me` for.
    fn taken_for(&self, me: &Process, mistake: Mistake) -> Process {
        let last = self.last.lock().unwrap().clone();
        let last = last.filter(|last| Self::MISTAKE == mistake && last.machine == me.machine);
        last.unwrap_or_else(|| me.clone())
    }
}

impl<const M: usize> SessionLookup for Wrong<M> {
    async fn session(&self, id: SessionId) -> Result<Option<Session>, LookupError> {
        let Some(session) = self.inner.get(&id) else {
            return Ok(None);
        };
        let status = match (Self::MISTAKE, session.owner_status()) {
            (Mistake::LosesWithoutWitness, OwnerStatus::Silent) => OwnerStatus::Lost,
            (Mistake::TellsNoProcessesApart, OwnerStatus::Superseded) => OwnerStatus::Alive,
            (_, status) => status,
        };
        Ok(Some(session.with_owner_status(status)))
    }

    fn node(&self, new: &Node) -> Node {
        self.inner.node(new)
    }
}

impl<const M: usize> SessionDirectory for Wrong<M> {
    async fn claim(
        &self,
        seen: Session,
        machine: MachineId,
    ) -> Result<Option<Claimed>, LookupError> {
        let seen = if Self::MISTAKE == Mistake::ClaimsBlindly {
            self.inner.get(seen.id()).unwrap_or(seen)
        } else {
            seen
        };
        SessionDirectory::claim(&self.inner, seen, machine).await
    }

    async fn create(&self, new: NewSession, machine: MachineId) -> Result<Created, LookupError> {
        let old = self.inner.get(&new.id);
        match (Self::MISTAKE, &old) {
            (Mistake::CreatesOverOthers, Some(old)) if !is_over(old) => {
                self.inner.end(new.id.clone(), EndIf::Any).await?;
            }
            (Mistake::BeginsAtTheFirstEpoch, Some(old)) if is_over(old) => {
                self.inner.remove(&new.id);
            }
            _ => {}
        }
        let created = self.inner.create(new, machine).await?;
        if Self::MISTAKE == Mistake::ProvesEveryBirth
            && let Created::New(session) = &created
        {
            let proof = session.epoch().unwrap() - 1;
            let proven = session.clone().with_owner_status(OwnerStatus::Unknown);
            self.inner.insert(proven.with_released(proof));
            return Ok(Created::New(self.inner.get(session.id()).unwrap()));
        }
        Ok(created)
    }

    async fn touch(
        &self,
        session: SessionId,
        machine: MachineId,
        epoch: u64,
        lifetime: Duration,
    ) -> Result<bool, LookupError> {
        let now = self.inner.get(&session);
        let (machine, epoch) = match (Self::MISTAKE, &now) {
            (Mistake::TouchesForAnyMachine, Some(now)) => {
                (now.owner().unwrap().clone(), now.epoch().unwrap())
            }
            _ => (machine, epoch),
        };
        let touched = self.inner.touch(session, machine, epoch, lifetime).await?;
        if Self::MISTAKE == Mistake::ShortensLives
            && touched
            && let Some(now) = now
        {
            let now = now.with_owner_status(OwnerStatus::Unknown);
            self.inner.insert(now.with_remaining(lifetime));
        }
        Ok(touched)
    }

    async fn end(&self, session: SessionId, condition: EndIf) -> Result<Option<u64>, LookupError> {
        let condition = if Self::MISTAKE == Mistake::EndsForAnyMachine {
            EndIf::Any
        } else {
            condition
        };
        self.inner.end(session, condition).await
    }
}

impl<const M: usize> Membership for Wrong<M> {
    fn lost_after(&self) -> Duration {
        self.inner.lost_after()
    }

    async fn agree_ttl(&self, ours: Duration) -> Result<Duration, LookupError> {
        let agreed = self.inner.agree_ttl(ours).await;
        if Self::MISTAKE == Mistake::AgreesOnNothing {
            return Ok(ours);
        }
        agreed
    }

    async fn register(
        &self,
        me: &Process,
        info: &MachineInfo,
    ) -> Result<Registration, LookupError> {
        let registered = self.inner.register(me, info).await?;
        *self.last.lock().unwrap() = Some(me.clone());
        Ok(match (Self::MISTAKE, registered) {
            (Mistake::AlwaysFirst, Registration::TookOver) => Registration::First,
            (_, registered) => registered,
        })
    }

    async fn beat(
        &self,
        me: &Process,
        info: &MachineInfo,
        within: Duration,
    ) -> Result<Beat, LookupError> {
        let me = self.taken_for(me, Mistake::BeatsForAnyProcess);
        self.inner.beat(&me, info, within).await
    }

    async fn set_draining(
        &self,
        me: &Process,
        info: &MachineInfo,
        within: Duration,
    ) -> Result<Beat, LookupError> {
        self.inner.set_draining(me, info, within).await
    }

    async fn leave(&self, me: &Process, clean: bool, within: Duration) -> Result<(), LookupError> {
        let me = self.taken_for(me, Mistake::LeavesForAnyProcess);
        self.inner.leave(&me, clean, within).await
    }

    async fn release(
        &self,
        node: &Node,
        session: &SessionId,
        last: u64,
    ) -> Result<Option<Released>, LookupError> {
        let released = self.inner.release(node, session, last).await?;
        if Self::MISTAKE == Mistake::AlwaysProves
            && let Some(released) = released
        {
            let row = self.inner.get(session).unwrap();
            self.inner.insert(row.with_released(released.epoch));
            return Ok(Some(Released::new(session.clone(), released.epoch, true)));
        }
        Ok(released)
    }

    async fn release_all(
        &self,
        node: &Node,
        within: Duration,
        released: &mut Vec<Released>,
    ) -> Result<bool, LookupError> {
        self.inner.release_all(node, within, released).await
    }

    async fn held(
        &self,
        me: &MachineId,
        within: Duration,
    ) -> Result<Vec<(SessionId, u64)>, LookupError> {
        self.inner.held(me, within).await
    }

    async fn end_held(
        &self,
        me: &Process,
        sessions: &[(SessionId, u64)],
        within: Duration,
        ended: &mut Vec<(SessionId, u64)>,
    ) -> Result<Vec<(SessionId, u64)>, LookupError> {
        let me = &self.taken_for(me, Mistake::EndsForAnyProcess);
        let now = self.inner.held(&me.machine, within).await?;
        let sessions = if Self::MISTAKE == Mistake::EndsAtAnyEpoch {
            &now
        } else {
            sessions
        };
        self.inner.end_held(me, sessions, within, ended).await
    }

    async fn owned(&self, me: &MachineId, within: Duration) -> Result<usize, LookupError> {
        self.inner.owned(me, within).await
    }

    fn joined(&self, node: &Node) -> bool {
        self.inner.joined(node)
    }

    fn left(&self, node: &Node) {
        self.inner.left(node);
    }
}

async fn failed<const M: usize>() -> Vec<&'static str> {
    let failures = Box::pin(conformance::all::<Memory<M>>()).await;
    failures.iter().map(|failure| failure.case).collect()
}

#[tokio::test]
async fn the_memory_does_what_a_directory_has_to() {
    let failures = Box::pin(conformance::all::<Memory<0>>()).await;
    assert!(failures.is_empty(), "{failures:#?}");
}

#[tokio::test]
async fn each_mistake_fails_the_cases_that_are_there_for_it() {
    let found = [
        failed::<1>().await,
        failed::<2>().await,
        failed::<3>().await,
        failed::<4>().await,
        failed::<5>().await,
        failed::<6>().await,
        failed::<7>().await,
        failed::<8>().await,
        failed::<9>().await,
    ];
    let expected: [&[&str]; 9] = [
        &["a_take_over_needs_the_epoch_that_was_seen"],
        &[
            "a_restart_without_leaving_takes_over",
            "an_unclean_leave_makes_the_next_process_take_over",
            "a_forgotten_machine_is_restored_by_its_heartbeat",
            "a_release_after_a_take_over_of_the_machine_proves_nothing",
        ],
        &[
            "an_older_process_learns_of_a_younger_one",
            "a_younger_process_learns_that_the_older_one_is_there",
        ],
        &["an_older_process_cannot_leave_for_a_younger_one"],
        &[
            "a_release_during_the_wait_proves_nothing",
            "a_release_without_membership_proves_nothing",
            "a_release_after_a_take_over_of_the_machine_proves_nothing",
        ],
        &[
            "machines_that_are_all_silent_are_not_lost",
            "a_witness_that_was_silent_itself_is_none",
        ],
        &["a_read_tells_a_process_of_its_successor"],
        &[
            "a_take_over_needs_the_epoch_that_was_seen",
            "a_change_of_owner_raises_the_epoch",
            "only_the_owner_at_its_epoch_touches",
            "an_end_by_an_owner_needs_its_epoch",
            "a_release_during_the_wait_proves_nothing",
            "a_session_that_came_back_is_not_released_by_an_old_release",
            "a_held_session_that_came_back_is_not_ended",
        ],
        &["the_first_ttl_is_the_fleets"],
    ];
    for ((mistake, found), expected) in MISTAKES[1..].iter().zip(found).zip(expected) {
        assert_eq!(found, expected, "{mistake:?}");
    }
}

#[tokio::test]
async fn each_mistake_with_births_and_ends_fails_the_cases_that_are_there_for_it() {
    let found = [
        failed::<12>().await,
        failed::<13>().await,
        failed::<14>().await,
        failed::<15>().await,
        failed::<16>().await,
        failed::<17>().await,
        failed::<18>().await,
        failed::<19>().await,
    ];
    let expected: [&[&str]; 8] = [
        &[
            "a_session_that_lives_is_taken_and_stays_as_it_is",
            "of_two_machines_that_create_a_session_one_does",
        ],
        &[
            // It is forgotten before the machine is refused.
            "a_draining_machine_creates_nothing",
            "a_session_that_is_over_begins_a_new_life_at_a_higher_epoch",
            "a_new_life_soon_after_the_old_one_waits",
            "a_new_life_waits_while_no_ttl_is_agreed_on",
        ],
        &[
            "a_new_life_soon_after_the_old_one_waits",
            "a_new_life_waits_while_no_ttl_is_agreed_on",
        ],
        &["only_the_owner_at_its_epoch_touches"],
        &[
            "a_touch_moves_the_expiry_and_never_back",
            "a_touch_gives_an_endless_session_no_end",
        ],
        &["an_end_by_an_owner_needs_its_epoch"],
        &["a_superseded_process_ends_nothing_it_held"],
        &["a_held_session_that_came_back_is_not_ended"],
    ];
    for ((mistake, found), expected) in MISTAKES[12..].iter().zip(found).zip(expected) {
        assert_eq!(found, expected, "{mistake:?}");
    }
}

async fn untold<const M: usize>() -> Vec<&'static str> {
    let failures = Box::pin(conformance::changes::<Memory<M>>()).await;
    failures.iter().map(|failure| failure.case).collect()
}

#[tokio::test(start_paused = true)]
async fn the_memory_tells_of_changes() {
    assert_eq!(untold::<0>().await, [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn each_mistake_of_a_feed_fails_the_cases_that_are_there_for_it() {
    let untold_of = [
        "a_session_that_is_created_is_delivered",
        "a_claim_is_delivered",
        "a_release_is_delivered",
        "an_end_is_delivered",
        "a_session_that_a_machine_creates_is_delivered",
        "a_touch_is_delivered",
    ];
    assert_eq!(untold::<10>().await, untold_of);
    assert_eq!(untold::<11>().await, ["a_ping_is_answered"]);
}
