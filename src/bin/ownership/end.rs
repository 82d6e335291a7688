//! Waits for the signal that ends the command.

use std::future::Future;

/// Completes on SIGINT (Ctrl-C) or SIGTERM. Both are listened for from the call on, not from the
/// first poll, so that a signal that arrives in between is not missed.
#[cfg(unix)]
pub fn asked_to_end() -> impl Future<Output = ()> {
    use tokio::signal::unix::{Signal, SignalKind, signal};

    let signals = [SignalKind::interrupt(), SignalKind::terminate()].map(signal);
    async move {
        // A signal that cannot be listened for ends the process by itself.
        let once = |signal: std::io::Result<Signal>| async {
            match signal {
                Ok(mut signal) => drop(signal.recv().await),
                Err(_) => std::future::pending().await,
            }
        };
        let [interrupt, terminate] = signals.map(once);
        tokio::select! {
            () = interrupt => {}
            () = terminate => {}
        }
    }
}

/// Ctrl-C.
#[cfg(not(unix))]
pub fn asked_to_end() -> impl Future<Output = ()> {
    async {
        drop(tokio::signal::ctrl_c().await);
    }
}
