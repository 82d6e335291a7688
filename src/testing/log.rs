//! The edge's memory of what it did: bounded, readable at any time, and a stream for those who
//! want to watch.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use super::event::EdgeEvent;
use super::hop::Hop;

/// How many records a watcher may be behind; their places are allocated in advance.
const MAX_BEHIND: usize = 4_096;

/// How much of a text that a machine wrote is kept, in bytes.
const MAX_TEXT: usize = 4_096;

/// One line of the edge's log.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum EdgeRecord {
    /// A delivery to a machine.
    Hop(Hop),
    /// An error of the edge.
    Event(EdgeEvent),
}

/// The last `capacity` records.
#[derive(Debug)]
pub(super) struct Log {
    capacity: usize,
    records: Mutex<VecDeque<EdgeRecord>>,
    watchers: broadcast::Sender<EdgeRecord>,
}

impl Log {
    pub(super) fn new(capacity: usize) -> Self {
        let capacity = capacity.max(1);
        Self {
            capacity,
            records: Mutex::default(),
            watchers: broadcast::Sender::new(capacity.min(MAX_BEHIND)),
        }
    }

    pub(super) fn add(&self, mut record: EdgeRecord) {
        match &mut record {
            EdgeRecord::Hop(hop) => hop.replay.iter_mut().for_each(shorten),
            EdgeRecord::Event(event) => shorten(&mut event.detail),
        }
        let mut records = self.records();
        if records.len() == self.capacity {
            records.pop_front();
        }
        records.push_back(record.clone());
        // Sent under the lock, so that watchers see the order that readers see. No watcher is no
        // error.
        let _ = self.watchers.send(record);
    }

    pub(super) fn hops(&self) -> Vec<Hop> {
        self.select(|record| match record {
            EdgeRecord::Hop(hop) => Some(hop.clone()),
            EdgeRecord::Event(_) => None,
        })
    }

    pub(super) fn hops_of(&self, request_id: &str) -> Vec<Hop> {
        self.select(|record| match record {
            EdgeRecord::Hop(hop) if hop.request_id == request_id => Some(hop.clone()),
            EdgeRecord::Hop(_) | EdgeRecord::Event(_) => None,
        })
    }

    pub(super) fn events(&self) -> Vec<EdgeEvent> {
        self.select(|record| match record {
            EdgeRecord::Event(event) => Some(event.clone()),
            EdgeRecord::Hop(_) => None,
        })
    }

    pub(super) fn clear(&self) {
        self.records().clear();
    }

    pub(super) fn watch(&self) -> EdgeWatch {
        EdgeWatch {
            records: self.watchers.subscribe(),
        }
    }

    fn select<T>(&self, pick: impl FnMut(&EdgeRecord) -> Option<T>) -> Vec<T> {
        self.records().iter().filter_map(pick).collect()
    }

    fn records(&self) -> MutexGuard<'_, VecDeque<EdgeRecord>> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn shorten(text: &mut String) {
    if text.len() > MAX_TEXT {
        let end = (0..=MAX_TEXT).rev().find(|at| text.is_char_boundary(*at));
        text.truncate(end.unwrap_or_default());
    }
}

/// The log as it is written, from the moment of [`subscribe`](super::FlyEdge::subscribe) on.
#[derive(Debug)]
pub struct EdgeWatch {
    records: broadcast::Receiver<EdgeRecord>,
}

impl EdgeWatch {
    /// The next record; `None` once the edge is gone.
    ///
    /// Safe to drop at any await. A watcher that falls behind by more than the log's capacity,
    /// or by more than 4,096 records, loses the oldest records rather than hold the edge up.
    pub async fn next(&mut self) -> Option<EdgeRecord> {
        loop {
            match self.records.recv().await {
                Ok(record) => return Some(record),
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return None,
            }
        }
    }
}
