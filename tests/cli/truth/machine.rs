//! One container, and what it says of itself.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use super::log::{Level, Line, lines};
use super::metrics::Metrics;
use crate::support::client::get;
use crate::support::container::Container;
use crate::support::database::Database;
use crate::support::until_async;

/// As short as they may be, so that a test sees a machine get lost.
pub const LOST_AFTER: &str = "1500";

/// Whether a container beats.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Life {
    /// It only reads who the owner is, as in a fleet that keeps no presence.
    None,
    /// It beats, and others take it for lost after [`LOST_AFTER`].
    Beat,
    /// The same, after a minute: whoever is killed stays alive for the test's duration.
    BeatForLong,
}

impl Life {
    /// How long a machine may be silent before others take it for lost, in milliseconds.
    pub fn lost_after(self) -> &'static str {
        match self {
            Self::BeatForLong => "60000",
            Self::None | Self::Beat => LOST_AFTER,
        }
    }
}

pub struct Machine {
    pub container: Container,
}

/// What a machine had said until some moment.
pub struct Before {
    log: usize,
    pub metrics: Metrics,
}

/// What it has said since.
#[derive(Debug)]
pub struct Told {
    pub lines: Vec<Line>,
    pub metrics: Metrics,
    before: Metrics,
}

impl Machine {
    /// Starts it, and waits until it says that it is ready and hears of changes.
    pub async fn start(id: &str, database: &Database, life: Life) -> Self {
        let machine = Self::start_unready(id, database, life);
        machine.is_ready().await;
        machine
    }

    pub fn start_unready(id: &str, database: &Database, life: Life) -> Self {
        Self::start_at(id, &database.url(), life, &[])
    }

    /// The same as a machine that audits its fleet all the time.
    pub async fn auditing(id: &str, database: &Database) -> Self {
        let audits = [("OWNERSHIP_AUDIT_MS", "100")];
        let machine = Self::start_at(id, &database.url(), Life::BeatForLong, &audits);
        machine.is_ready().await;
        machine
    }

    pub fn start_at(id: &str, url: &str, life: Life, more: &[(&str, &str)]) -> Self {
        let mut variables = vec![
            ("MACHINE_ID", id),
            ("DATABASE_URL", url),
            ("OWNERSHIP_SHOW_INTERNALS", "on"),
            ("OWNERSHIP_FRESHNESS_MS", "1000"),
            ("OWNERSHIP_BEAT_MS", "250"),
            ("OWNERSHIP_LOST_AFTER_MS", life.lost_after()),
            ("OWNERSHIP_DRAIN_MS", "60000"),
        ];
        if life != Life::None {
            variables.push(("OWNERSHIP_LIFE", "beat"));
        }
        variables.extend(more);
        Self {
            container: Container::start(&variables),
        }
    }

    pub async fn is_ready(&self) {
        until_async("it is ready", async || self.health().await["ready"] == true).await;
        // What the watch has to say of its beginning is said by then.
        until_async("it listens", async || {
            let metrics = Metrics::of(&self.container).await;
            metrics.value("feed_listening") > 0.0
        })
        .await;
    }

    async fn health(&self) -> Value {
        let answer = get(self.container.url("/healthz")).await;
        assert_eq!(answer.status, 200, "healthy is not the same as ready");
        answer.json()
    }

    /// Stops it in its tracks: its sockets stay open, and it does nothing any more.
    pub fn freeze(&self) {
        let pid = Pid::from_raw(self.container.pid.try_into().unwrap());
        kill(pid, Signal::SIGSTOP).unwrap();
    }

    pub async fn before(&self) -> Before {
        Before {
            log: self.container.log().len(),
            metrics: Metrics::of(&self.container).await,
        }
    }

    pub async fn since(&self, before: Before) -> Told {
        Told {
            // First the log: what is asked of it below must not be in it.
            lines: lines(&self.container.log()[before.log..]),
            metrics: Metrics::of(&self.container).await,
            before: before.metrics,
        }
    }

    /// The same, once it has logged this since.
    pub async fn until(&self, before: Before, part: &str) -> Told {
        let has_said = || self.container.log()[before.log..].contains(part);
        until_async(part, async || has_said()).await;
        self.since(before).await
    }

    /// The lines that it has logged since it started, once one of them says this.
    pub async fn lines_once(&self, part: &str) -> Vec<Line> {
        until_async(part, async || self.container.log().contains(part)).await;
        lines(&self.container.log())
    }
}

impl Told {
    /// The one line with this code, which is of this level; no other line is for an operator.
    pub fn one_line(&self, level: Level, code: &str) -> &Line {
        let with_code = self.lines.iter().filter(|line| line.has_code(code));
        let [line] = with_code.collect::<Vec<_>>()[..] else {
            panic!("not one line with {code}: {:#?}", self.lines);
        };
        assert_eq!(line.level, level, "{line:?}");
        let others = self.lines.iter().filter(|other| *other != line);
        let aloud: Vec<_> = others.filter(|other| other.is_aloud()).collect();
        assert!(aloud.is_empty(), "besides {line:?}: {aloud:#?}");
        line
    }

    /// What was counted of requests.
    pub fn verdicts(&self) -> Vec<String> {
        self.metrics.verdicts_since(&self.before)
    }

    /// These verdicts were counted, and no others.
    pub fn counted(&self, verdicts: &[&str]) {
        assert_eq!(self.verdicts(), verdicts);
    }

    /// By how much this series rose.
    pub fn rose(&self, name: &str) -> f64 {
        self.metrics.value(name) - self.before.value(name)
    }

    pub fn rose_by_one(&self, name: &str) {
        let rose = self.rose(name);
        assert!((rose - 1.0).abs() < 0.5, "{name} rose by {rose}");
    }
}
