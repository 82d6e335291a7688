//! Two upgraded connections, joined.

use std::time::Duration;

use futures_util::future::try_join;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::copy_bidirectional;
use tokio::time::timeout;

use super::tasks::TaskGuard;

/// Both sides have agreed by now; what is left is to write the client's 101.
const HANDOVER: Duration = Duration::from_secs(10);

/// Copies bytes both ways until both ends are done, or one of them fails.
///
/// `machine_connection` and `slot` are held for that long.
pub(super) async fn join<T>(
    client: OnUpgrade,
    machine: OnUpgrade,
    machine_connection: TaskGuard,
    slot: T,
) {
    let handover = timeout(HANDOVER, try_join(client, machine));
    if let Ok(Ok((client, machine))) = handover.await {
        // How a tunnel ends is between its two ends.
        let _ = copy_bidirectional(&mut TokioIo::new(client), &mut TokioIo::new(machine)).await;
    }
    drop((machine_connection, slot));
}
