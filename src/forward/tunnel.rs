//! Connections that switched protocols, such as WebSockets.

use std::{io, time::Duration};

use futures_util::future::{Either, select, try_join};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, copy, split},
    time::timeout,
};

use super::pool::{Connection, Ticket};

/// How long both sides may take to switch protocols after the owner has agreed.
const SWITCH_TIMEOUT: Duration = Duration::from_secs(10);

/// How long one side may go on sending after the other has finished.
const LINGER: Duration = Duration::from_secs(30);

/// Carries bytes both ways until both sides have finished, or one is gone.
pub(super) fn open(client: OnUpgrade, owner: OnUpgrade, connection: Connection, ticket: Ticket) {
    tokio::spawn(async move {
        let switched = timeout(SWITCH_TIMEOUT, try_join(client, owner)).await;
        // Until here it held the bytes.
        drop(connection);
        if let Ok(Ok((client, owner))) = switched {
            // An end that is not clean is the end all the same.
            let _ = carry(client, owner).await;
        }
        drop(ticket);
    });
}

async fn carry(client: Upgraded, owner: Upgraded) -> io::Result<()> {
    let (from_client, to_client) = split(TokioIo::new(client));
    let (from_owner, to_owner) = split(TokioIo::new(owner));
    let up = std::pin::pin!(one_way(from_client, to_owner));
    let down = std::pin::pin!(one_way(from_owner, to_client));
    match select(up, down).await {
        Either::Left((up, down)) => {
            up?;
            timeout(LINGER, down).await?
        }
        Either::Right((down, up)) => {
            down?;
            timeout(LINGER, up).await?
        }
    }
}

async fn one_way(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
) -> io::Result<()> {
    copy(&mut from, &mut to).await?;
    to.shutdown().await
}
