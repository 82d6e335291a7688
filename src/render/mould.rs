//! An answer that is the same every time but for the session and the moment.
//!
//! Every replay carries the `replay-not-honoured` answer, for the client that meets no proxy which
//! acts on it; in a healthy fleet nobody ever reads one. It is written once, with markers in the
//! place of the session and of the moment, and from then on only those are filled in. Leaving them
//! out would be simpler and hardly faster, and would make the one answer that shows a broken
//! set-up the least telling one.

use std::{
    fmt::Write,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode};
use humantime::{format_rfc3339_millis, format_rfc3339_seconds};

use crate::SessionId;

/// A session that no answer is about.
const NO_SESSION: SessionId = SessionId::new(uuid::Uuid::from_u128(
    0x6d6f_756c_6400_4000_8000_6d61_726b_6572,
));

/// Writes what the page shows of a moment: `2025-09-04 12:00:00 UTC`.
pub(super) fn clock(now: SystemTime) -> String {
    let time = format_rfc3339_seconds(now).to_string();
    time.replace('T', " ").replace('Z', " UTC")
}

#[derive(Clone, Debug)]
pub(super) struct Mould {
    for_status: StatusCode,
    status: StatusCode,
    headers: HeaderMap,
    /// Texts, each with what follows it.
    pieces: Vec<(String, Hole)>,
    end: String,
    length: usize,
}

#[derive(Clone, Copy, Debug)]
enum Hole {
    Session,
    Milliseconds,
    Seconds,
    Clock,
}

impl Hole {
    const ALL: [Self; 4] = [
        Self::Session,
        Self::Milliseconds,
        Self::Seconds,
        Self::Clock,
    ];

    fn fill(self, text: &mut String, session: SessionId, now: SystemTime) {
        // Writing into a string does not fail.
        let _ = match self {
            // Without the formatting machinery, which would cost as much as all the rest.
            Self::Session => {
                let mut buffer = uuid::Uuid::encode_buffer();
                text.push_str(session.as_uuid().hyphenated().encode_lower(&mut buffer));
                Ok(())
            }
            Self::Milliseconds => write!(text, "{}", format_rfc3339_millis(now)),
            Self::Seconds => write!(text, "{}", format_rfc3339_seconds(now)),
            Self::Clock => write!(text, "{}", clock(now)),
        };
    }
}

impl Mould {
    /// Takes the mould of an answer that `write` gives for any session and moment.
    pub(super) fn of(
        for_status: StatusCode,
        write: impl FnOnce(SessionId, SystemTime) -> Response<Bytes>,
    ) -> Self {
        // A moment that no answer is about either.
        let no_moment = SystemTime::UNIX_EPOCH + Duration::from_millis(86_399_999);
        let (head, body) = write(NO_SESSION, no_moment).into_parts();
        let marked = String::from_utf8_lossy(&body);
        let markers = Hole::ALL.map(|hole| {
            let mut text = String::new();
            hole.fill(&mut text, NO_SESSION, no_moment);
            (hole, text)
        });
        let (mut pieces, mut rest) = (Vec::new(), &*marked);
        let next = |rest: &str| {
            let found = markers
                .iter()
                .filter_map(|(hole, marker)| Some((rest.find(marker)?, *hole, marker.len())));
            found.min_by_key(|(at, ..)| *at)
        };
        while let Some((at, hole, length)) = next(rest) {
            pieces.push((rest[..at].to_owned(), hole));
            rest = &rest[at + length..];
        }
        Self {
            for_status,
            status: head.status,
            headers: head.headers,
            end: rest.to_owned(),
            pieces,
            length: marked.len(),
        }
    }

    /// Whether this is the mould of answers with this status, which is part of the body.
    pub(super) fn is_for(&self, status: StatusCode) -> bool {
        self.for_status == status
    }

    /// The answer for this session at this moment.
    pub(super) fn fill(&self, session: SessionId, now: SystemTime) -> Response<Bytes> {
        // Ids and moments are of one length each, so this is the length to the byte.
        let mut body = String::with_capacity(self.length);
        for (text, hole) in &self.pieces {
            body.push_str(text);
            hole.fill(&mut body, session, now);
        }
        body.push_str(&self.end);
        let mut response = Response::new(Bytes::from(body));
        *response.status_mut() = self.status;
        // A clone would be full, and what the replay adds would have to move it all.
        let headers = response.headers_mut();
        headers.reserve(self.headers.len() + 3);
        headers.extend(
            self.headers
                .iter()
                .map(|(name, value)| (name.clone(), value.clone())),
        );
        response
    }
}
