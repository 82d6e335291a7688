//! Many lookups in one query.

use std::{pin::pin, time::Duration};

use futures_util::future::{Either, select};
use tokio::{
    sync::oneshot::Sender,
    task::yield_now,
    time::{Instant, sleep},
};
use tokio_postgres::Row;

use crate::{
    LookupError, SessionId,
    meter::{self, Stopwatch},
};

use super::{
    Inner,
    failure::Failure,
    query::SessionQuery,
    queue::{Answer, Slot, Waiting},
    row,
};

/// How long a query whose callers have all gone may go on. Most end by then, and their
/// connections can be used again: if a query ended with the last of those who wait for it, clients
/// that go away would cost the server a new connection each. Shorter than a lookup's wait for a
/// connection, so that a query which is slow fails none of those that wait behind it.
const ABANDONED: Duration = Duration::from_millis(200);

/// The lookups that wait for one session.
struct Asked {
    id: SessionId,
    first: Sender<Answer>,
    /// Usually none: the layer's cache asks once, however many requests wait.
    others: Vec<Sender<Answer>>,
}

impl Asked {
    fn settle(self, answer: Answer) {
        for other in self.others {
            // A lookup that was dropped needs no answer.
            drop(other.send(answer.clone()));
        }
        drop(self.first.send(answer));
    }

    fn is_forsaken(&self) -> bool {
        self.first.is_closed() && self.others.iter().all(Sender::is_closed)
    }

    /// Ends when no lookup waits any more.
    async fn forsaken(&mut self) {
        self.first.closed().await;
        for other in &mut self.others {
            other.closed().await;
        }
    }
}

/// Why a query for several sessions has no answers.
struct Refused {
    error: LookupError,
    /// Whether one session may be the reason, so that the others should be asked for without it.
    by_one: bool,
}

impl Slot {
    /// Answers a batch, and then what queued in the meantime, until nothing is left.
    pub(super) async fn serve(self, mut batch: Vec<Waiting>) {
        while !batch.is_empty() {
            let lookup = self.lookup();
            // By then all who wait have given up.
            let deadline = lookup.connections.deadline();
            lookup.answer(batch, deadline).await;
            batch = self.take();
            if batch.is_empty() {
                // Those who have just been answered are ready to run, and may ask again. Let them:
                // the first to find this slot free goes alone, and the others wait for it.
                yield_now().await;
                batch = self.take();
            }
        }
    }
}

impl Inner {
    /// Asks for all of them at once; if one of them may be the reason that it fails, by halves.
    async fn answer(&self, batch: Vec<Waiting>, deadline: Instant) {
        let mut parts = vec![by_session(batch)];
        while let Some(mut part) = parts.pop() {
            if part.iter().all(Asked::is_forsaken) {
                continue;
            }
            let ids: Vec<SessionId> = part.iter().map(|asked| asked.id.clone()).collect();
            let asked = {
                let forsaken = pin!(async {
                    for asked in &mut part {
                        asked.forsaken().await;
                    }
                    sleep(ABANDONED).await;
                });
                match select(pin!(self.ask_all(&ids, deadline)), forsaken).await {
                    Either::Left((answers, _)) => answers,
                    Either::Right(_) => continue,
                }
            };
            match asked {
                Ok(answers) => {
                    for (asked, answer) in part.into_iter().zip(answers) {
                        asked.settle(answer);
                    }
                }
                Err(refused) if refused.by_one => {
                    let half = part.split_off(part.len() / 2);
                    parts.extend([half, part]);
                }
                Err(Refused { error, .. }) => {
                    for asked in part {
                        asked.settle(Err(error.clone()));
                    }
                }
            }
        }
    }

    /// Whether the batch's statement is one, for `verify`.
    pub(super) async fn try_batch(&self, id: &SessionId) -> Result<(), LookupError> {
        let rows = self
            .rows(std::slice::from_ref(id), self.connections.deadline())
            .await;
        rows.map(drop).map_err(Failure::into_lookup_error)
    }

    async fn rows(&self, ids: &[SessionId], deadline: Instant) -> Result<Vec<Row>, Failure> {
        // Without such a statement no lookup queues.
        let Some(query) = self.query.many() else {
            return Ok(Vec::new());
        };
        let (count, ids) = (ids.len(), self.query.ids().values(ids));
        let parameters = [ids.parameter()];
        let began = Stopwatch::start();
        let tells_standby = self.query.tells_standby();
        let rows = self
            .connections
            .ask(query, &parameters, deadline, tells_standby)
            .await;
        meter::queried(count, began);
        rows
    }

    /// One answer for each of `ids`, which are in ascending order, without duplicates.
    async fn ask_all(&self, ids: &[SessionId], deadline: Instant) -> Result<Vec<Answer>, Refused> {
        if let [id] = ids {
            return Ok(vec![self.ask(id, deadline).await]);
        }
        let rows = self.rows(ids, deadline).await;
        let rows = rows.map_err(|failure| Refused {
            by_one: failure.is_of_a_row(),
            error: failure.into_lookup_error(),
        })?;
        if rows.len() >= SessionQuery::MOST_ROWS {
            // The limit may have cut off the only row of another session.
            let error = LookupError::corrupt("there are many rows for one session");
            return Err(Refused {
                error,
                by_one: true,
            });
        }
        let mut answers: Vec<Option<Answer>> = vec![None; ids.len()];
        let mut one_astray = false;
        for row in rows {
            if !self.query.is_session(&row) {
                continue;
            }
            let place = row::id(&row).and_then(|id| {
                let at = ids.binary_search(&id).ok()?;
                Some((id, answers.get_mut(at)?))
            });
            match place {
                Some((_, answer @ Some(_))) => *answer = Some(Err(Self::two_rows())),
                Some((id, answer)) => *answer = Some(self.read(&id, &row).map(Some)),
                None => one_astray = true,
            }
        }
        let without_row = if one_astray {
            // It may be the row of any of those that seem to have none.
            let error = "the session query returned a row for a session that it was not asked for";
            Err(LookupError::corrupt(error))
        } else {
            Ok(None)
        };
        let or_without = |answer: Option<Answer>| answer.unwrap_or_else(|| without_row.clone());
        Ok(answers.into_iter().map(or_without).collect())
    }
}

/// The lookups by session, in ascending order.
fn by_session(mut batch: Vec<Waiting>) -> Vec<Asked> {
    batch.sort_unstable_by(|one, other| one.id.cmp(&other.id));
    let mut sessions: Vec<Asked> = Vec::with_capacity(batch.len());
    for Waiting { id, answer, .. } in batch {
        match sessions.last_mut() {
            Some(last) if last.id == id => last.others.push(answer),
            _ => sessions.push(Asked {
                id,
                first: answer,
                others: Vec::new(),
            }),
        }
    }
    sessions
}
