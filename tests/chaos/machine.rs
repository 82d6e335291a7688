//! One machine: an id, a way to the database, and the process that is it, or two of them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::Signal;
use tokio::task::spawn_blocking;
use uuid::Uuid;

use crate::client::{BY_HEADER, health};
use crate::clock::At;
use crate::fault::{Cut, Name, is_deaf};
use crate::fleet::Fleet;
use crate::follower;
use crate::history::ProcessEnd;
use crate::running::Running;
use crate::slow::SlowReaders;
use crate::support::container::Container;
use crate::support::relay::Relay;
use crate::troubles::{Open, Trouble};

/// How long it may take from the start of a process until it is ready, if the database is there.
const READY: Duration = Duration::from_secs(30);

/// By how many of its sessions a machine is looked at closely.
const FOLLOWED: usize = 3;

pub struct Machine {
    pub name: Name,
    /// Its own way to the database, which can be cut.
    relay: Relay,
    /// Where its change feed connects; closed for one that is [deaf](is_deaf).
    watch: Relay,
    current: Option<Running>,
    /// The first of two.
    elder: Option<Running>,
    /// What is wrong with it now.
    troubles: Vec<(Trouble, Open)>,
    /// The sessions by which it is looked at closely.
    pub followed: Vec<Uuid>,
    slow: Option<SlowReaders>,
}

impl Machine {
    pub async fn new(name: &str, database: u16) -> Self {
        let watch = Relay::to(database).await;
        if is_deaf(name) {
            watch.cut().await;
        }
        Self {
            name: name.to_owned(),
            relay: Relay::to(database).await,
            watch,
            current: None,
            elder: None,
            troubles: Vec::new(),
            followed: Vec::new(),
            slow: None,
        }
    }

    /// Where its process listens, if there is one.
    pub fn addr(&self) -> Option<SocketAddr> {
        self.current.as_ref().map(|one| one.container.addr)
    }

    /// Cuts it off the database.
    pub async fn cut(&mut self, fleet: &Fleet, cut: Cut) {
        self.trouble(fleet, Trouble::Cut);
        for relay in self.ways() {
            close(relay, cut).await;
        }
    }

    /// Cuts the ways of other machines to it.
    pub async fn cut_peers(&mut self, fleet: &Fleet, cut: Cut) {
        self.trouble(fleet, Trouble::PeersCut);
        if let Some(relay) = self.peers() {
            close(relay, cut).await;
        }
    }

    pub async fn heal_peers(&mut self, fleet: &Fleet) {
        if let Some(relay) = self.peers() {
            relay.restore().await;
        }
        self.over(fleet, Trouble::PeersCut);
    }

    fn peers(&self) -> Option<&Relay> {
        self.current.as_ref()?.peers.as_ref()
    }

    pub async fn heal(&mut self, fleet: &Fleet) {
        for relay in self.ways() {
            relay.restore().await;
        }
        self.over(fleet, Trouble::Cut);
    }

    /// Its connections end, and new ones reach the standby, which lags from now on.
    pub async fn lead_to_standby(&mut self, fleet: &Fleet) {
        fleet.ground.stop_replay().await;
        self.trouble(fleet, Trouble::Standby);
        for relay in self.ways() {
            relay.lead_to(fleet.ground.standby.port());
            relay.cut().await;
            relay.restore().await;
        }
    }

    /// New connections reach the primary. A machine has to end those to the standby by itself.
    pub async fn lead_to_primary(&mut self, fleet: &Fleet) {
        for relay in self.ways() {
            relay.lead_to(fleet.ground.cluster.port());
        }
        self.over(fleet, Trouble::Standby);
        fleet.ground.resume_replay().await;
    }

    /// Reads large answers of sessions that it owns, slowly.
    pub async fn read_slowly(&mut self, fleet: &Arc<Fleet>, choice: u64) {
        self.trouble(fleet, Trouble::SlowReaders);
        let owned = self.some_of_its_own(fleet, choice).await;
        if let Some(addr) = self.addr() {
            let mut ways = vec![addr];
            if fleet.settings.forwards() {
                // Most of what comes by it is carried, and its reader is as slow.
                ways.push(fleet.edge.addr());
            }
            self.slow = Some(SlowReaders::of(fleet, &self.name, &ways, &owned));
        }
    }

    pub fn stop_reading(&mut self, fleet: &Fleet) {
        self.slow = None;
        self.over(fleet, Trouble::SlowReaders);
    }

    /// Its ways to the database.
    fn ways(&self) -> impl Iterator<Item = &Relay> {
        let watch = Some(&self.watch).filter(|_| !is_deaf(&self.name));
        std::iter::once(&self.relay).chain(watch)
    }

    pub fn trouble(&mut self, fleet: &Fleet, trouble: Trouble) {
        let open = fleet.recorder.begin(trouble, Some(&self.name));
        self.troubles.push((trouble, open));
    }

    pub fn over(&mut self, fleet: &Fleet, trouble: Trouble) {
        let over = self.troubles.extract_if(.., |(one, _)| *one == trouble);
        over.for_each(|(_, open)| fleet.recorder.end(open));
    }

    /// Starts its process, and waits until that is ready.
    pub async fn start(&mut self, fleet: &Arc<Fleet>) {
        assert!(self.current.is_none(), "{} is running", self.name);
        self.trouble(fleet, Trouble::Starting);
        self.run(fleet).await;
        self.over(fleet, Trouble::Dead);
        self.until_ready(fleet).await;
    }

    /// Starts a second process, which takes the first one's place at the edge.
    pub async fn start_twin(&mut self, fleet: &Arc<Fleet>) {
        self.trouble(fleet, Trouble::Twin);
        self.trouble(fleet, Trouble::Starting);
        self.elder = self.current.take();
        self.run(fleet).await;
        // A client that knows the first one's address goes on asking it.
        let elder = self.elder.as_ref().expect("it was running");
        follower::ask_elder(fleet, (self.name.clone(), elder.container.addr));
        self.until_ready(fleet).await;
    }

    async fn run(&mut self, fleet: &Fleet) {
        let index = fleet.recorder.process_starts(&self.name);
        let peers = if fleet.settings.forwards() {
            // Until the process has a port, they reach none.
            Some(Relay::to(0).await)
        } else {
            None
        };
        let variables = self.variables(fleet, peers.as_ref());
        let container = spawn_blocking(move || {
            let variables = variables.iter();
            let variables: Vec<_> = variables
                .map(|(name, value)| (*name, value.as_str()))
                .collect();
            Container::start(&variables)
        });
        let container = container.await.expect("a container");
        if let Some(peers) = &peers {
            peers.lead_to(container.addr.port());
        }
        let health = health(container.addr)
            .await
            .expect("a container that listens is healthy");
        let id = health["process"]
            .as_str()
            .expect("the process's id")
            .to_owned();
        fleet
            .recorder
            .process(index, |process| process.id = Some(id));
        fleet.edge.add(self.name.clone(), container.addr);
        self.current = Some(Running {
            container,
            peers,
            index,
        });
    }

    fn variables(&self, fleet: &Fleet, peers: Option<&Relay>) -> Vec<(&'static str, String)> {
        let settings = &fleet.settings;
        let ms = |duration: Duration| duration.as_millis().to_string();
        let through = |relay: &Relay| fleet.ground.database.url_through(relay.port());
        let mut variables = vec![
            ("MACHINE_ID", self.name.clone()),
            ("DATABASE_URL", through(&self.relay)),
            ("OWNERSHIP_WATCH_URL", through(&self.watch)),
            ("OWNERSHIP_LIFE", "on".to_owned()),
            ("OWNERSHIP_FRESHNESS_MS", ms(settings.freshness)),
            ("OWNERSHIP_BEAT_MS", ms(settings.beat)),
            ("OWNERSHIP_LOST_AFTER_MS", ms(settings.lost_after)),
            ("OWNERSHIP_DRAIN_MS", ms(settings.drain)),
            ("OWNERSHIP_LINGER_MS", ms(settings.linger)),
            ("OWNERSHIP_HEADER", BY_HEADER.to_owned()),
        ];
        if let Some(peers) = peers {
            let peer = format!("http://127.0.0.1:{}", peers.port());
            variables.extend([
                ("OWNERSHIP_HANDOVER", "forward".to_owned()),
                ("OWNERSHIP_PEER", peer),
                ("OWNERSHIP_PEER_ALLOW", "127.0.0.1/32".to_owned()),
                ("OWNERSHIP_PEER_TIMEOUT_MS", ms(settings.replay)),
                // By which an answer says whose it is.
                ("OWNERSHIP_SHOW_INTERNALS", "on".to_owned()),
            ]);
        }
        variables
    }

    async fn until_ready(&mut self, fleet: &Fleet) {
        let addr = self.addr().expect("it was started");
        let deadline = tokio::time::Instant::now() + READY;
        while tokio::time::Instant::now() < deadline {
            if health(addr)
                .await
                .is_some_and(|health| health["ready"] == true)
            {
                self.over(fleet, Trouble::Starting);
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!(
            "{} is not ready within {READY:?}:\n{}",
            self.name,
            self.log()
        );
    }

    /// Looks closely at it from now on, by sessions that it owns.
    pub async fn follow(&mut self, fleet: &Arc<Fleet>, choice: u64) {
        let owned = self.some_of_its_own(fleet, choice).await;
        if let Some(addr) = self.addr() {
            follower::follow(fleet, &(self.name.clone(), addr), &owned);
        }
        self.followed = owned;
    }

    async fn some_of_its_own(&self, fleet: &Fleet, choice: u64) -> Vec<Uuid> {
        let owned = fleet.orchestrator.owned_by(&self.name).await;
        let mut owned = owned.unwrap_or_default();
        fastrand::Rng::with_seed(choice).shuffle(&mut owned);
        owned.truncate(FOLLOWED);
        owned
    }

    pub fn burst(&self, fleet: &Arc<Fleet>) {
        if let Some(addr) = self.addr() {
            follower::burst(fleet, &(self.name.clone(), addr), &self.followed);
        }
    }

    fn log(&self) -> String {
        self.current
            .as_ref()
            .map(|one| one.container.log())
            .unwrap_or_default()
    }

    /// Asks its process to end, as a platform does, and waits until it has.
    pub async fn terminate(&mut self, fleet: &Arc<Fleet>) {
        let running = self.current.take().expect("it is running");
        self.trouble(fleet, Trouble::Draining);
        let asked = At::now();
        running.signal(Signal::SIGTERM);
        let patience = fleet.settings.drain + fleet.settings.linger + 3 * fleet.settings.slack;
        while !running.container.has_ended() && At::now().since(asked) < patience {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let took = At::now().since(asked);
        let in_time = running.container.has_ended();
        if !in_time {
            running.signal(Signal::SIGKILL);
        }
        let index = running.index;
        let status = running.exit_status(fleet).await;
        fleet.edge.remove(&self.name);
        fleet.recorder.process(index, |process| {
            process.end = if in_time {
                ProcessEnd::Drained { status, took }
            } else {
                ProcessEnd::DidNotEnd
            };
        });
        self.over(fleet, Trouble::Draining);
    }

    /// Ends its process without a word.
    pub async fn kill(&mut self, fleet: &Fleet) {
        let running = self.current.take().expect("it is running");
        self.trouble(fleet, Trouble::Dead);
        running.kill(fleet).await;
    }

    /// The edge knows by now that the machine is gone, unless it runs again.
    pub fn forget_if_dead(&mut self, fleet: &Fleet) {
        if self.current.is_none() {
            fleet.edge.remove(&self.name);
            self.over(fleet, Trouble::Dead);
        }
    }

    /// Ends the first of two.
    pub async fn kill_elder(&mut self, fleet: &Fleet) {
        let elder = self.elder.take().expect("there are two");
        elder.kill(fleet).await;
        self.over(fleet, Trouble::Twin);
    }

    pub fn stop(&mut self, fleet: &Fleet) {
        self.trouble(fleet, Trouble::Stopped);
        self.current
            .as_ref()
            .expect("it is running")
            .signal(Signal::SIGSTOP);
    }

    pub fn go_on(&mut self, fleet: &Fleet) {
        self.current
            .as_ref()
            .expect("it is running")
            .signal(Signal::SIGCONT);
        self.over(fleet, Trouble::Stopped);
    }

    pub fn elder_goes_on(&mut self, fleet: &Fleet) {
        self.elder
            .as_ref()
            .expect("there are two")
            .signal(Signal::SIGCONT);
        self.over(fleet, Trouble::Stopped);
    }

    /// Ends its process after everything was seen; a process that is gone already went by itself.
    pub async fn end(&mut self, fleet: &Fleet) {
        for running in [self.elder.take(), self.current.take()]
            .into_iter()
            .flatten()
        {
            let end = if running.container.has_ended() {
                ProcessEnd::ByItself
            } else {
                ProcessEnd::Running
            };
            running.signal(Signal::SIGKILL);
            let index = running.index;
            running.exit_status(fleet).await;
            fleet.recorder.process(index, |process| process.end = end);
        }
    }
}

async fn close(relay: &Relay, cut: Cut) {
    match cut {
        Cut::Refused => relay.cut().await,
        Cut::Silent => relay.black_hole().await,
    }
}
