//! Whether the machine serves anything, as far as the heartbeat is to depend on it.

use std::{
    fmt, io,
    net::SocketAddr,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    net::TcpStream,
    time::{Instant, MissedTickBehavior, interval, timeout},
};

use crate::health::HealthCheck;

/// How long a connection to the machine's own port may take.
const CONNECT: Duration = Duration::from_millis(500);

/// What the heartbeat depends on.
#[derive(Clone)]
pub(super) enum Input {
    /// The machine's own listener.
    Port(SocketAddr),
    Check(Arc<dyn HealthCheck>),
}

impl Input {
    /// Evidence that the machine serves nothing.
    ///
    /// A refused connection is evidence: nothing listens. A connection that takes long is none,
    /// nor is any other error: the kernel completes handshakes whatever the processors are busy
    /// with, and a check that full processors starve would take the heartbeat from every machine
    /// under load.
    async fn failure(&self) -> Option<String> {
        match self {
            Self::Port(address) => match timeout(CONNECT, TcpStream::connect(address)).await {
                Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => {
                    Some(format!("no process listens on {address}"))
                }
                Ok(_) | Err(_) => None,
            },
            Self::Check(check) => match catch_unwind(AssertUnwindSafe(|| check.check())) {
                Ok(check) if check.is_ok() => None,
                Ok(check) => Some(check.reason().to_owned()),
                Err(_) => Some("the check panicked".to_owned()),
            },
        }
    }
}

impl fmt::Debug for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Port(address) => f.debug_tuple("Port").field(address).finish(),
            Self::Check(_) => f.write_str("Check"),
        }
    }
}

/// Asks the inputs, apart from the beats, which must not wait for them.
pub(super) struct Liveness {
    inputs: Vec<Input>,
    every: Duration,
    /// For how long an input has to fail without interruption.
    patience: Duration,
    failure: Mutex<Option<String>>,
}

impl Liveness {
    pub(super) fn new(inputs: Vec<Input>, every: Duration, patience: Duration) -> Self {
        Self {
            inputs,
            every,
            patience,
            failure: Mutex::default(),
        }
    }

    /// Why the machine should not beat.
    pub(super) fn failure(&self) -> Option<String> {
        self.lock().clone()
    }

    pub(super) async fn watch(&self) {
        if self.inputs.is_empty() {
            return;
        }
        let mut due = interval(self.every);
        due.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut since = vec![None; self.inputs.len()];
        loop {
            due.tick().await;
            let mut lasting = None;
            for (input, since) in self.inputs.iter().zip(&mut since) {
                let Some(why) = input.failure().await else {
                    *since = None;
                    continue;
                };
                // From one failure to the other: what was not asked meanwhile has not failed.
                let begun = *since.get_or_insert_with(Instant::now);
                if begun.elapsed() >= self.patience {
                    lasting = Some(why);
                }
            }
            *self.lock() = lasting;
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<String>> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
