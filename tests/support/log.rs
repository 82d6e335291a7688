//! What is logged while a test looks.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, OnceLock};

use tokio::runtime::Builder;
use tracing::{Dispatch, subscriber::NoSubscriber};
use tracing_subscriber::fmt::MakeWriter;

/// What was logged so far, by whatever subscriber writes to it.
#[derive(Clone, Debug)]
pub struct Log(Arc<Mutex<Vec<u8>>>);

impl Default for Log {
    fn default() -> Self {
        // While there is one dispatcher in the process, `tracing` asks only the thread that first
        // comes to an event whether anybody wants it, and remembers a no for all threads. With two
        // more, which are always there, it asks all of them: other tests have threads without a
        // subscriber.
        static OTHERS: OnceLock<[Dispatch; 2]> = OnceLock::new();
        OTHERS.get_or_init(|| [(); 2].map(|()| Dispatch::new(NoSubscriber::new())));
        Self(Arc::default())
    }
}

impl Log {
    pub fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// Runs it on this thread alone, and writes down what is logged meanwhile and passes the filter.
pub fn logged(filter: &str, run: impl AsyncFnOnce(&Log)) -> Log {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(false)
        .with_writer(log.clone())
        .finish();
    tracing::subscriber::with_default(subscriber, || {
        let runtime = Builder::new_current_thread().enable_all().build();
        runtime.unwrap().block_on(run(&log));
    });
    log
}
