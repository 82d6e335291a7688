//! Every task of one edge, so that all of them end with it.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::runtime::Handle;
use tokio::task::{AbortHandle, JoinHandle};

/// Spawns tasks and remembers them; a clone shares the memory.
#[derive(Clone, Debug)]
pub(super) struct Tasks {
    runtime: Handle,
    /// `None` once the edge is shut down.
    running: Arc<Mutex<Option<Running>>>,
}

#[derive(Debug, Default)]
struct Running {
    handles: Vec<JoinHandle<()>>,
    /// Finished handles are swept out when this many are held, so sweeping costs O(1) a spawn.
    sweep_at: usize,
}

impl Tasks {
    /// Must be called inside a tokio runtime.
    pub(super) fn new() -> Self {
        Self {
            runtime: Handle::current(),
            running: Arc::new(Mutex::new(Some(Running::default()))),
        }
    }

    /// Starts a task, unless the edge is shut down.
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) -> TaskGuard {
        if self.with_running(|_| ()).is_none() {
            return TaskGuard(None);
        }
        // Outside the lock: a runtime that is going down drops the task at once, and what that
        // drops may come back here.
        let handle = self.runtime.spawn(task);
        let abort = handle.abort_handle();
        if self.with_running(|running| running.add(handle)).is_none() {
            abort.abort();
        }
        TaskGuard(Some(abort))
    }

    /// Ends all tasks without waiting for them.
    pub(super) fn abort(&self) -> Vec<JoinHandle<()>> {
        let running = self.lock().take().unwrap_or_default();
        for handle in &running.handles {
            handle.abort();
        }
        running.handles
    }

    /// Ends all tasks and waits until they are gone.
    pub(super) async fn shutdown(&self) {
        for handle in self.abort() {
            // It ended, was cancelled or panicked: gone in any case.
            let _ = handle.await;
        }
    }

    fn with_running<T>(&self, act: impl FnOnce(&mut Running) -> T) -> Option<T> {
        self.lock().as_mut().map(act)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Running {
    fn add(&mut self, handle: JoinHandle<()>) {
        if self.handles.len() >= self.sweep_at {
            self.handles.retain(|handle| !handle.is_finished());
            self.sweep_at = (self.handles.len() * 2).max(64);
        }
        self.handles.push(handle);
    }
}

/// hyper's HTTP/2 spawns tasks of its own; they are ours too.
impl<F> hyper::rt::Executor<F> for Tasks
where
    F: Future + Send + 'static,
{
    fn execute(&self, task: F) {
        self.spawn(async {
            task.await;
        })
        .detach();
    }
}

/// Ends its task when dropped.
#[derive(Debug)]
#[must_use = "a dropped guard ends its task"]
pub(super) struct TaskGuard(Option<AbortHandle>);

impl TaskGuard {
    /// Lets the task run until it or the edge ends.
    pub(super) fn detach(mut self) {
        self.0 = None;
    }
}

impl Drop for TaskGuard {
    fn drop(&mut self) {
        if let Some(task) = &self.0 {
            task.abort();
        }
    }
}
