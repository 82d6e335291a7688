//! A server that ends with its node.

use std::{
    future::{Future, IntoFuture},
    pin::{Pin, pin},
    sync::Arc,
};

use futures_util::future::{Either, select};
use tokio::{
    sync::oneshot,
    time::{Instant, sleep_until},
};
use tracing::warn;

use super::{NodeDirectory, RunningNode, Shared, TARGET};

/// Completes when a server may close its listener; for
/// [`RunningNode::serve`](super::RunningNode::serve).
pub type GracefulShutdown = Pin<Box<dyn Future<Output = ()> + Send>>;

impl<D: NodeDirectory, F: Clone> RunningNode<D, F> {
    /// Runs a server until it has ended, or until the drain's time is over. `signal` and what it begins are
    /// those of [`drained_on`](Self::drained_on); the server gets what its graceful shutdown takes.
    ///
    /// A server's graceful shutdown waits for open responses without a bound: for streams of any session or
    /// none, and for whatever knows nothing of sessions. Here they may go on for the drain's
    /// [limit](super::NodeBuilder::drain_limit) from the signal on, 20 s by default, or for as long as the
    /// listener [lingers](super::NodeBuilder::linger), if that is longer. The server is then dropped, which
    /// is logged at WARN, and this returns `Ok`. A server that spawns its connections, as axum's does, leaves them to the
    /// runtime: they close when the process ends, or the runtime is dropped.
    ///
    /// ```
    /// # async fn example<D: tower_ownership::node::NodeDirectory>(
    /// #     node: tower_ownership::node::RunningNode<D>, app: axum::Router, listener: tokio::net::TcpListener,
    /// # ) -> std::io::Result<()> {
    /// use tower_ownership::shutdown_signal;
    ///
    /// node.serve(shutdown_signal(), |drained| {
    ///     axum::serve(listener, app).with_graceful_shutdown(drained)
    /// })
    /// .await
    /// # }
    /// ```
    ///
    /// Dropped, it drops the server, and the drain if that has begun.
    pub fn serve<W, R, S, E>(
        &self,
        signal: W,
        server: R,
    ) -> impl Future<Output = Result<(), E>> + use<D, F, W, R, S, E>
    where
        W: Future<Output = ()> + Send + 'static,
        R: FnOnce(GracefulShutdown) -> S,
        S: IntoFuture<Output = Result<(), E>>,
    {
        let (drains, limit) = self.shared.drained_within(signal);
        let machine = self.machine().clone();
        async move {
            let server = pin!(server(drains).into_future());
            match select(server, pin!(limit)).await {
                Either::Left((ended, _)) => ended,
                Either::Right(_) => {
                    warn!(
                        target: TARGET,
                        machine = machine.as_str(),
                        "responses are still open at the end of the drain's time; they end with this process"
                    );
                    Ok(())
                }
            }
        }
    }
}

impl<D: NodeDirectory> Shared<D> {
    /// The drain that the signal begins, and when what is open has had its time.
    fn drained_within<W>(
        self: &Arc<Self>,
        signal: W,
    ) -> (
        GracefulShutdown,
        impl Future<Output = ()> + Send + use<D, W>,
    )
    where
        W: Future<Output = ()> + Send + 'static,
    {
        let shared = Arc::clone(self);
        let (ends, ended) = oneshot::channel();
        let drained = async move {
            signal.await;
            let limit = shared.drain_limit.max(shared.linger);
            let limit = Instant::now().checked_add(limit);
            shared.end().await;
            let _ = ends.send(limit);
        };
        let limit = async {
            match ended.await {
                Ok(Some(limit)) => sleep_until(limit).await,
                // No bound, or a server that does without a graceful shutdown.
                Ok(None) | Err(_) => std::future::pending().await,
            }
        };
        (Box::pin(drained), limit)
    }
}
