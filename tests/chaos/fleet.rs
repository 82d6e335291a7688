//! The machines, and what is done to them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex as Lock, PoisonError};
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::task::{JoinHandle, JoinSet, spawn_blocking};
use tower_ownership::testing::FlyEdge;
use uuid::Uuid;

use crate::fault::{Action, Cut, Locked, Name, Shape, Shutdown, Step, To};
use crate::ground::Ground;
use crate::locks::Locks;
use crate::machine::Machine;
use crate::orchestrator::Orchestrator;
use crate::recorder::Recorder;
use crate::settings::Settings;
use crate::troubles::{Open, Trouble};

/// Everything that a fault can concern.
pub struct Fleet {
    pub settings: Settings,
    pub ground: Ground,
    pub edge: FlyEdge,
    pub recorder: Arc<Recorder>,
    pub orchestrator: Orchestrator,
    machines: Lock<BTreeMap<Name, Arc<Mutex<Machine>>>>,
    tasks: Lock<JoinSet<()>>,
    /// While there is no database.
    outage: Lock<Option<Open>>,
    /// Sessions that were given to machines which are not there yet.
    ahead: Lock<BTreeMap<Name, Open>>,
    locks: Locks,
}

impl Fleet {
    pub async fn new(settings: Settings, shape: Shape) -> Self {
        let ground = Ground::prepare(shape).await;
        // Every hop of the run, for the checker.
        let edge = FlyEdge::builder().log_capacity(1_000_000);
        Self {
            orchestrator: Orchestrator::new(&ground.database),
            edge: edge.start().await.unwrap(),
            settings,
            ground,
            recorder: Arc::default(),
            machines: Lock::default(),
            tasks: Lock::default(),
            outage: Lock::default(),
            ahead: Lock::default(),
            locks: Locks::default(),
        }
    }

    /// The machine of this name, which may not have been started yet.
    pub async fn machine(&self, name: &str) -> Arc<Mutex<Machine>> {
        if let Some(machine) = self.known(name) {
            return machine;
        }
        let machine = Arc::new(Mutex::new(
            Machine::new(name, self.ground.cluster.port()).await,
        ));
        let mut machines = self.machines.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(machines.entry(name.to_owned()).or_insert(machine))
    }

    fn known(&self, name: &str) -> Option<Arc<Mutex<Machine>>> {
        let machines = self.machines.lock().unwrap_or_else(PoisonError::into_inner);
        machines.get(name).map(Arc::clone)
    }

    /// All that were ever there.
    pub fn all(&self) -> Vec<Arc<Mutex<Machine>>> {
        let machines = self.machines.lock().unwrap_or_else(PoisonError::into_inner);
        machines.values().map(Arc::clone).collect()
    }

    /// Does what is to be done, each thing at its time, and returns when all of it is done.
    pub async fn suffer(self: &Arc<Self>, steps: &[Step]) {
        let began = tokio::time::Instant::now();
        // What concerns one machine is done in order, and holds up no other machine.
        let mut last: BTreeMap<String, JoinHandle<()>> = BTreeMap::new();
        for step in steps {
            tokio::time::sleep_until(began + step.at).await;
            self.recorder.note(step.to_string());
            let key = step.action.key();
            let before = last.remove(&key);
            let (fleet, action) = (Arc::clone(self), step.action.clone());
            let task = tokio::spawn(async move {
                if let Some(before) = before {
                    before.await.expect("the action before");
                }
                fleet.perform(action).await;
            });
            last.insert(key, task);
        }
        for task in last.into_values() {
            task.await.expect("an action");
        }
    }

    pub async fn perform(self: &Arc<Self>, action: Action) {
        match action {
            Action::Start(name) => {
                let machine = self.machine(&name).await;
                machine.lock().await.start(self).await;
                let mut ahead = self.ahead.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(open) = ahead.remove(&name) {
                    self.recorder.end(open);
                }
            }
            Action::StartTwin(name) => {
                let machine = self.machine(&name).await;
                machine.lock().await.start_twin(self).await;
            }
            Action::Terminate(name) => {
                let machine = self.machine(&name).await;
                machine.lock().await.terminate(self).await;
            }
            Action::Kill(name) => {
                let machine = self.machine(&name).await;
                machine.lock().await.kill(self).await;
                self.forget_soon(&machine);
            }
            Action::KillElder(name) => {
                let machine = self.machine(&name).await;
                machine.lock().await.kill_elder(self).await;
            }
            Action::Stop(name) => {
                let machine = self.machine(&name).await;
                machine.lock().await.stop(self);
            }
            Action::Continue(name) => {
                let machine = self.machine(&name).await;
                machine.lock().await.go_on(self);
            }
            Action::ContinueElder(name) => {
                let machine = self.machine(&name).await;
                machine.lock().await.elder_goes_on(self);
            }
            Action::Cut(name, cut) => {
                let machine = self.machine(&name).await;
                machine.lock().await.cut(self, cut).await;
            }
            Action::Heal(name) => {
                let machine = self.machine(&name).await;
                machine.lock().await.heal(self).await;
            }
            Action::CutPeers(name, cut) => self.peers(&name, Some(cut)).await,
            Action::HealPeers(name) => self.peers(&name, None).await,
            Action::Follow(name, choice) => {
                let machine = self.machine(&name).await;
                machine.lock().await.follow(self, choice).await;
            }
            Action::Burst(name) => {
                let machine = self.machine(&name).await;
                machine.lock().await.burst(self);
            }
            Action::Move { from, to } => {
                let machine = self.machine(&from).await;
                let followed = machine.lock().await.followed.clone();
                self.give(&followed, &To::Machine(to)).await;
            }
            Action::Lock(number, what) => self.take_lock(number, what).await,
            Action::Unlock(number) => self.locks.give_back(self, number).await,
            Action::MoveRows {
                sessions,
                choice,
                to,
            } => self.move_rows(sessions, choice, to).await,
            Action::ReadSlowly(name, choice) => {
                let machine = self.machine(&name).await;
                machine.lock().await.read_slowly(self, choice).await;
            }
            Action::StopReading(name) => {
                let machine = self.machine(&name).await;
                machine.lock().await.stop_reading(self);
            }
            Action::LeadToStandby(name) => {
                let machine = self.machine(&name).await;
                machine.lock().await.lead_to_standby(self).await;
            }
            Action::LeadToPrimary(name) => {
                let machine = self.machine(&name).await;
                machine.lock().await.lead_to_primary(self).await;
            }
            Action::Migrate { drops_triggers } => self.migrate(drops_triggers).await,
            Action::StopDatabase(shutdown) => self.stop_database(shutdown).await,
            Action::StartDatabase => self.start_database().await,
            Action::Assign {
                sessions,
                choice,
                to,
            } => self.assign(sessions, choice, to).await,
        }
    }

    /// Cuts the ways of other machines to this one, or heals them.
    async fn peers(&self, name: &str, cut: Option<Cut>) {
        let machine = self.machine(name).await;
        let mut machine = machine.lock().await;
        match cut {
            Some(cut) => machine.cut_peers(self, cut).await,
            None => machine.heal_peers(self).await,
        }
    }

    /// A platform notices after a moment that a machine is dead. Until then requests run into it.
    fn forget_soon(self: &Arc<Self>, machine: &Arc<Mutex<Machine>>) {
        const NOTICES: Duration = Duration::from_secs(1);
        let (fleet, machine) = (Arc::clone(self), Arc::clone(machine));
        tokio::spawn(async move {
            tokio::time::sleep(NOTICES).await;
            machine.lock().await.forget_if_dead(&fleet);
        });
    }

    async fn stop_database(&self, shutdown: Shutdown) {
        let open = self.recorder.begin(Trouble::NoDatabase, None);
        *self.outage.lock().unwrap_or_else(PoisonError::into_inner) = Some(open);
        let cluster = Arc::clone(&self.ground.cluster);
        let stopped = spawn_blocking(move || match shutdown {
            Shutdown::Fast => cluster.stop(),
            Shutdown::Immediate => cluster.stop_at_once(),
        });
        stopped.await.unwrap();
    }

    async fn start_database(&self) {
        let cluster = Arc::clone(&self.ground.cluster);
        spawn_blocking(move || cluster.start()).await.unwrap();
        let outage = self
            .outage
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(open) = outage {
            self.recorder.end(open);
        }
    }

    async fn take_lock(&self, number: usize, what: Locked) {
        let sessions = match &what {
            Locked::Rows { sessions, choice } => self.some_sessions(*sessions, *choice),
            Locked::Followed(name) => {
                let machine = self.machine(name).await;
                machine.lock().await.followed.clone()
            }
            Locked::Table { .. } => Vec::new(),
        };
        self.locks.take(self, number, what, &sessions).await;
    }

    async fn move_rows(&self, count: usize, choice: u64, to: Option<To>) {
        let sessions = self.some_sessions(count, choice);
        self.note_if_ahead(to.as_ref().and_then(To::name));
        let open = self.recorder.begin_of(Trouble::RowsMove, &sessions);
        let sql = self.ground.moves(&sessions, to.as_ref());
        let done = self.orchestrator.all_or_none(&sql).await;
        self.recorder.end(open);
        let note = format!("rows moved, {to:?} gets them: {done}");
        self.recorder.note(note);
    }

    async fn migrate(&self, drops_triggers: bool) {
        let open = self.recorder.begin(Trouble::Unreadable, None);
        let done = self.ground.migrate_again(drops_triggers).await;
        self.recorder.end(open);
        self.recorder.note(format!("migrated: {done:?}"));
    }

    /// Gives some of the sessions that are there by then to a machine, or to none.
    async fn assign(&self, count: usize, choice: u64, to: To) {
        let chosen = self.some_sessions(count, choice);
        self.give(&chosen, &to).await;
    }

    /// Some of the sessions that are there by now.
    fn some_sessions(&self, count: usize, choice: u64) -> Vec<Uuid> {
        let mut dice = fastrand::Rng::with_seed(choice);
        let known = self.recorder.lock().sessions.clone();
        let recent = known.len().saturating_sub(40);
        (0..count)
            .filter_map(|turn| {
                // Half of them are busy ones.
                let from = if turn % 2 == 0 { recent } else { 0 };
                (from < known.len()).then(|| known[dice.usize(from..known.len())])
            })
            .collect()
    }

    async fn give(&self, sessions: &[Uuid], to: &To) {
        let owner = to.name();
        self.note_if_ahead(owner);
        let given = self.orchestrator.assign(sessions, owner).await;
        let given = given.map_or_else(|| "perhaps some".to_owned(), |count| count.to_string());
        self.recorder.note(format!("{to:?} got sessions: {given}"));
    }

    /// Notes that a machine owns sessions before it has started.
    fn note_if_ahead(&self, owner: Option<&str>) {
        if let Some(name) = owner.filter(|name| !self.recorder.was_started(name)) {
            let mut ahead = self.ahead.lock().unwrap_or_else(PoisonError::into_inner);
            let begin = || self.recorder.begin(Trouble::Ahead, Some(name));
            ahead.entry(name.to_owned()).or_insert_with(begin);
        }
    }

    /// Does something beside the faults and the load.
    pub fn in_background(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        tasks.spawn(task);
    }

    /// Waits until all that was asked beside the load is answered.
    pub async fn until_all_is_answered(&self) {
        let tasks = {
            let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *tasks)
        };
        tasks.join_all().await;
    }
}
