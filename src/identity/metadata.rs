//! Asking a platform's metadata service, once, at start.

use std::{
    future::poll_fn,
    io::Read,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Poll, Waker},
    thread,
    time::Duration,
};

use futures_timer::Delay;

use super::environment::usable;
use crate::{IdentityError, MachineId};

/// How long a metadata service may take. It is on the same host and answers in milliseconds; a
/// machine that does not know who it is after this long had better not start.
const PATIENCE: Duration = Duration::from_secs(2);

/// The longest answer. That of ECS grows with the containers of a task, of which there are ten.
const MAX_ANSWER: u64 = 256 * 1024;

/// A GET without TLS.
#[derive(Clone, Debug)]
pub(super) struct Question {
    pub(super) endpoint: String,
    /// A header to send that has to come back the same: proof that the right service answers.
    pub(super) flavor: Option<(&'static str, &'static str)>,
}

impl Question {
    /// The id that `read` finds in the body of the answer.
    pub(super) async fn machine_id(
        self,
        read: fn(&str) -> Result<String, String>,
    ) -> Result<MachineId, IdentityError> {
        let endpoint = self.endpoint.clone();
        match self.ask().await.and_then(|answer| read(&answer)) {
            Ok(text) => usable(&endpoint, &text),
            Err(reason) => Err(IdentityError::Unavailable { endpoint, reason }),
        }
    }

    /// The body of the answer.
    ///
    /// A thread asks, since that needs no runtime and blocks none; the future only waits for it.
    async fn ask(self) -> Result<String, String> {
        let slot = Arc::new(Mutex::new(Slot::default()));
        let filled = Arc::clone(&slot);
        thread::Builder::new()
            .name("machine-identity".to_owned())
            .spawn(move || Slot::fill(&filled, self.ask_blocking()))
            .map_err(|error| error.to_string())?;

        // The thread bounds itself, but a resolver or a panic in it must not keep us waiting.
        let mut patience = Delay::new(PATIENCE);
        poll_fn(move |context| {
            let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(answer) = slot.answer.take() {
                return Poll::Ready(answer);
            }
            slot.waiting = Some(context.waker().clone());
            drop(slot);
            Pin::new(&mut patience)
                .poll(context)
                .map(|()| Err(format!("no answer within {PATIENCE:?}")))
        })
        .await
    }

    fn ask_blocking(&self) -> Result<String, String> {
        let mut request = minreq::get(&self.endpoint)
            .with_timeout(PATIENCE.as_secs())
            .with_follow_redirects(false);
        if let Some((name, value)) = self.flavor {
            request = request.with_header(name, value);
        }
        let response = request.send_lazy().map_err(|error| error.to_string())?;
        if response.status_code != 200 {
            return Err(format!("status {}", response.status_code));
        }
        if let Some((name, value)) = self.flavor {
            let same =
                |(n, v): &(String, String)| n.eq_ignore_ascii_case(name) && v.trim() == value;
            if !response.headers.iter().any(same) {
                return Err(format!("the answer has no `{name}: {value}`"));
            }
        }
        let mut body = Vec::new();
        response
            .take(MAX_ANSWER + 1)
            .read_to_end(&mut body)
            .map_err(|error| error.to_string())?;
        if body.len() as u64 > MAX_ANSWER {
            return Err(format!("the answer is longer than {MAX_ANSWER} bytes"));
        }
        String::from_utf8(body).map_err(|error| error.to_string())
    }
}

/// Where the thread leaves the answer.
#[derive(Default)]
struct Slot {
    answer: Option<Result<String, String>>,
    waiting: Option<Waker>,
}

impl Slot {
    fn fill(slot: &Mutex<Self>, answer: Result<String, String>) {
        let waiting = {
            let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
            slot.answer = Some(answer);
            slot.waiting.take()
        };
        if let Some(waiting) = waiting {
            waiting.wake();
        }
    }
}

#[cfg(test)]
pub(super) mod tests;
