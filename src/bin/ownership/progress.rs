//! Something that moves while one waits.

use std::{future::Future, pin::pin, time::Duration};

use indicatif::ProgressBar;
use tokio::time::timeout;

/// A shorter wait needs no sign.
const PATIENCE: Duration = Duration::from_secs(1);

/// Waits for `work`. After a second a spinner says what is waited for, if standard error is a
/// terminal.
pub async fn while_waiting<T>(what: &'static str, work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    if let Ok(done) = timeout(PATIENCE, &mut work).await {
        return done;
    }
    // On standard error, and nothing where that is no terminal.
    let spinner = ProgressBar::new_spinner();
    spinner.set_message(what);
    spinner.enable_steady_tick(Duration::from_millis(100));
    let done = work.await;
    spinner.finish_and_clear();
    done
}
