//! The form that a client reads best, from `Content-Type` and `Accept` (RFC 9110, section 12.5.1), and the
//! language of a page.

use http::{HeaderMap, HeaderValue, Method, header};

use crate::Head;

use super::{ResponseFormat, language::Language};

/// The form, and the language of a page.
#[inline]
pub(super) fn format(head: &Head<'_>) -> (ResponseFormat, Language) {
    // gRPC is always a POST, which spares every other method one look at the headers.
    if head.method == Method::POST
        && let Some(grpc) = grpc(head.headers)
    {
        return (grpc, Language::default());
    }
    // Clients send it among the first fields. To compare names up to there costs less than to hash one.
    let mut fields = head.headers.iter();
    let Some((_, first)) = fields.find(|(name, _)| *name == header::ACCEPT) else {
        return (ResponseFormat::Problem, Language::default());
    };
    // A browser's list on its way to a page, of which the rest decides nothing.
    if first.as_bytes().starts_with(b"text/html,") {
        // Browsers send it next or soon after.
        let language = fields.find(|(name, _)| *name == header::ACCEPT_LANGUAGE);
        let first = language.map(|(_, value)| value);
        return (
            ResponseFormat::Html,
            Language::accepted(first, head.headers),
        );
    }
    let format = accepted(head, first);
    let language = match format {
        ResponseFormat::Html => Language::accepted(None, head.headers),
        _ => Language::default(),
    };
    (format, language)
}

fn accepted(head: &Head<'_>, first: &HeaderValue) -> ResponseFormat {
    if head.method == Method::GET && names_events(first) {
        ResponseFormat::Events
    } else if prefers_page(head.headers) {
        ResponseFormat::Html
    } else {
        ResponseFormat::Problem
    }
}

fn grpc(headers: &HeaderMap) -> Option<ResponseFormat> {
    let content_type = headers.get(header::CONTENT_TYPE)?.as_bytes();
    let after = rest(content_type, b"application/grpc")?;
    let (format, after) = match rest(after, b"-web-text") {
        Some(after) => (ResponseFormat::GrpcWebText, after),
        None => match rest(after, b"-web") {
            Some(after) => (ResponseFormat::GrpcWeb, after),
            None => (ResponseFormat::Grpc, after),
        },
    };
    matches!(after.first(), None | Some(b'+' | b';' | b' ' | b'\t')).then_some(format)
}

/// Whether events are what the client names first: `EventSource` names nothing else.
fn names_events(first: &HeaderValue) -> bool {
    let list = first.as_bytes().trim_ascii_start();
    let after = rest(list, b"text/event-stream");
    after.is_some_and(|after| matches!(after.first(), None | Some(b',' | b';' | b' ' | b'\t')))
}

/// What follows `prefix`, in any case.
fn rest<'a>(text: &'a [u8], prefix: &[u8]) -> Option<&'a [u8]> {
    let (begin, rest) = text.split_at_checked(prefix.len())?;
    begin.eq_ignore_ascii_case(prefix).then_some(rest)
}

/// Whether a page ranks above nothing, and not below JSON.
fn prefers_page(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT);
    if !accepted
        .iter()
        .any(|value| may_name_a_page(value.as_bytes()))
    {
        return false;
    }
    let mut ranking = Ranking::default();
    for value in accepted {
        for range in Split::new(b',', value.as_bytes()) {
            if ranking.add(range).is_certain() {
                return true;
            }
        }
    }
    ranking.page() > 0 && ranking.page() >= ranking.json()
}

/// Both names of a page hold an `h`, and hardly any other type that clients list does. Looking for
/// it without stopping at the first is what the compiler turns into a few vector instructions, and
/// spares `fetch`, images and programs, which are most requests, the reading of the list.
fn may_name_a_page(list: &[u8]) -> bool {
    list.iter()
        .fold(0, |found, byte| found | u8::from(byte | 0x20 == b'h'))
        != 0
}

/// How much the client wants each of the ranges that matter to us, in thousandths.
#[derive(Default)]
struct Ranking {
    html: Option<u16>,
    xhtml: Option<u16>,
    json: Option<u16>,
    any_application: Option<u16>,
    anything: Option<u16>,
}

/// The highest weight, in thousandths.
pub(super) const MOST: u16 = 1000;

impl Ranking {
    /// Adds one range of the list; what cannot be read says nothing.
    fn add(&mut self, range: &[u8]) -> &Self {
        let mut parts = Split::new(b';', range);
        let slot = match parts.next().map(<[u8]>::trim_ascii) {
            Some(name) => self.slot(name),
            None => None,
        };
        if let Some(slot) = slot
            && let Some(quality) = quality(parts)
        {
            *slot = (*slot).max(Some(quality));
        }
        self
    }

    fn slot(&mut self, name: &[u8]) -> Option<&mut Option<u16>> {
        let is = |other: &[u8]| name.eq_ignore_ascii_case(other);
        // By length first: most of what is listed can be passed over without comparing text.
        match name.len() {
            9 if is(b"text/html") => Some(&mut self.html),
            21 if is(b"application/xhtml+xml") => Some(&mut self.xhtml),
            16 if is(b"application/json") => Some(&mut self.json),
            24 if is(b"application/problem+json") => Some(&mut self.json),
            13 if is(b"application/*") => Some(&mut self.any_application),
            // A lone `*` is what Java's own client has always sent for `*/*`.
            3 if is(b"*/*") => Some(&mut self.anything),
            1 if is(b"*") => Some(&mut self.anything),
            _ => None,
        }
    }

    /// Nothing further down the list can change the form: a browser's list ends at its first word.
    fn is_certain(&self) -> bool {
        self.html == Some(MOST)
    }

    /// The page has to be named: a client that takes anything gets what programs can read.
    fn page(&self) -> u16 {
        self.html.or(self.xhtml).unwrap_or(0)
    }

    fn json(&self) -> u16 {
        self.json
            .or(self.any_application)
            .or(self.anything)
            .unwrap_or(0)
    }
}

/// The `q` among a range's parameters: 1 if there is none, nothing if it cannot be read.
pub(super) fn quality(parameters: Split<'_>) -> Option<u16> {
    for parameter in parameters {
        if let [b'q' | b'Q', b'=', value @ ..] = parameter.trim_ascii() {
            return thousandths(value);
        }
    }
    Some(MOST)
}

/// Reads a weight between 0 and 1. Also `.5`, and more than three digits, which clients do send.
fn thousandths(value: &[u8]) -> Option<u16> {
    let (whole, fraction) = match value {
        [b'.', fraction @ ..] | [b'0', b'.', fraction @ ..] => (0, fraction),
        [b'1', b'.', fraction @ ..] => (1, fraction),
        [b'0'] => (0, &[][..]),
        [b'1'] => (1, &[][..]),
        _ => return None,
    };
    if !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let thousandths = fraction
        .iter()
        .chain(b"000")
        .take(3)
        .fold(whole, |sum, digit| sum * 10 + u16::from(digit - b'0'));
    (thousandths <= MOST).then_some(thousandths)
}

/// The members of a list, split where the separator does not stand in a quoted string.
#[derive(Clone)]
pub(super) struct Split<'a> {
    separator: u8,
    rest: Option<&'a [u8]>,
}

impl<'a> Split<'a> {
    pub(super) fn new(separator: u8, list: &'a [u8]) -> Self {
        Self {
            separator,
            rest: Some(list),
        }
    }

    /// Where the next separator stands outside of quotes.
    fn end(&self, list: &[u8]) -> Option<usize> {
        let (mut quoted, mut escaped) = (false, false);
        list.iter().position(|&byte| {
            let was_escaped = std::mem::take(&mut escaped);
            match byte {
                b'"' if !was_escaped => quoted = !quoted,
                b'\\' if quoted && !was_escaped => escaped = true,
                _ => return byte == self.separator && !quoted,
            }
            false
        })
    }
}

impl<'a> Iterator for Split<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let list = self.rest.take()?;
        match self.end(list) {
            Some(at) => {
                self.rest = Some(&list[at + 1..]);
                Some(&list[..at])
            }
            None => Some(list),
        }
    }
}

#[cfg(test)]
#[path = "negotiate_tests.rs"]
mod tests;
