//! The channel that a feed listens on.

use tokio_postgres::Notification;

use super::payload::Payload;
use crate::postgres::{id::Ids, identifier::Identifier, migration::notify};

/// A channel, and how the ids stand in its notifications.
#[derive(Clone, Debug)]
pub(super) struct Channel {
    pub(super) name: Identifier,
    pub(super) ids: Ids,
}

impl Channel {
    /// What a notification says, or how long it is if it cannot be read; `None`: it is on another
    /// channel.
    pub(super) fn read(&self, heard: &Notification) -> Option<Result<Payload, usize>> {
        if heard.channel() != self.name.name() {
            return None;
        }
        let text = heard.payload();
        Some(Payload::parse(text, self.ids).ok_or(text.len()))
    }

    /// Sends a beat.
    pub(super) fn beat(&self, number: u64) -> String {
        notify(&self.name, &Payload::beat(number))
    }
}
