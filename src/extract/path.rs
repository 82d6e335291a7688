//! The session in the path.

use std::borrow::Cow;

use super::{Agreement, ExtractSession, InvalidExtractor, percent_decoded};
use crate::{Head, MalformedSession, SessionId};

/// The session id is the path segment after a prefix: `/session/{id}` and everything below it.
///
/// ```
/// use tower_ownership::PathSegment;
///
/// let extractor = PathSegment::after("/session")?;
/// # let request = http::Request::get("/session/807efe44-d63e-4a24-88f5-dbe96112830a/files").body(())?;
/// # let head = tower_ownership::Head::from(&request);
/// # assert!(tower_ownership::ExtractSession::session(&extractor, &head)?.is_some());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// | path, with the prefix `/session` | is |
/// | --- | --- |
/// | `/session/<id>`, `/session/<id>/files/1` | that session |
/// | `/session`, `/session/`, `/sessions/<id>`, `/Session/<id>` | no session: paths are case-sensitive |
/// | `/session/about`, `/session/<id>.json`, `/session/<id>;v=1`, `/session/<id>%zz` | a session of that name, which a [directory](crate::session::SessionIds) of UUIDs does not know |
/// | `//session/<id>`, `/%73ession/<id>`, `/session//<id>`, `/x/../session/<id>`, `/session%2F<id>` | that session |
/// | `/session/<id>/../<another>`, `/session/<id>%2Fx` | malformed, since it means one session as it stands and another one once `..` or `%2F` is resolved |
///
/// Servers and frameworks read a path in different ways: before they route, some merge slashes,
/// resolve `.` and `..`, decode `%2F`, or take a backslash for a slash; some do not. A path that
/// leaves room for that is read in all of those ways, and all that find a session must find the
/// same one. Percent-encoding is taken off once.
///
/// The path of an absolute target (`GET http://host/session/…`) counts; the targets of `CONNECT`
/// and `OPTIONS *` are no session. The path is the one that the layer sees: inside of a router's
/// `nest` that is what is left of it.
#[derive(Clone, Debug)]
pub struct PathSegment {
    /// The prefix with a slash on both ends, `/` for none.
    prefix: Box<str>,
}

impl PathSegment {
    /// The segment after `prefix`, which is one or more segments such as `/session` or
    /// `/api/v1/session`. After `/` it is the first one.
    pub fn after(prefix: &str) -> Result<Self, InvalidExtractor> {
        let inner = prefix.strip_prefix('/').unwrap_or(prefix);
        let inner = inner.strip_suffix('/').unwrap_or(inner);
        if inner.is_empty() {
            return Ok(Self { prefix: "/".into() });
        }
        if inner.split('/').all(is_plain_segment) {
            let prefix = format!("/{inner}/").into();
            return Ok(Self { prefix });
        }
        Err(InvalidExtractor::new(
            prefix,
            "the part of a path before the session id, such as `/session`: segments of \
             unreserved characters, without percent-encoding, `.` and `..`",
        ))
    }

    /// Reads a path in every way that an application may.
    #[cold]
    fn in_any_reading(&self, path: &str) -> Result<Option<SessionId>, MalformedSession> {
        if path.is_empty() || path == "*" {
            return Ok(None);
        }
        let slash = |byte: &u8| *byte == b'/';
        let either = |byte: &u8| matches!(byte, b'/' | b'\\');
        let path = path.as_bytes();
        let mut agreed = Agreement::default();
        let segments: Vec<_> = path.split(slash).collect();
        self.agree_on_encoded(&segments, &mut agreed)?;

        // An encoded slash is data to some and a separator to others, and so is a backslash.
        let decoded = percent_decoded(path);
        let splits_further = |segment: &&[u8]| percent_decoded(segment).iter().any(either);
        if segments.iter().any(splits_further) {
            self.agree_on_encoded(&path.split(either).collect::<Vec<_>>(), &mut agreed)?;
            self.agree_on_segments(&decoded.split(slash).collect::<Vec<_>>(), &mut agreed)?;
            self.agree_on_segments(&decoded.split(either).collect::<Vec<_>>(), &mut agreed)?;
        }
        Ok(agreed.0)
    }

    /// Reads segments that were split before they are decoded.
    fn agree_on_encoded(
        &self,
        segments: &[&[u8]],
        agreed: &mut Agreement,
    ) -> Result<(), MalformedSession> {
        self.agree_on_segments(&decoded(segments), agreed)?;
        // Some resolve only the dots that are written out, and decode the others too late.
        // And some resolve those as well, after all.
        for &dots in ways_to_resolve(segments) {
            self.agree_on_segments(&decoded(&resolved(segments, dots)), agreed)?;
        }
        Ok(())
    }

    fn agree_on_segments<S: AsRef<[u8]>>(
        &self,
        segments: &[S],
        agreed: &mut Agreement,
    ) -> Result<(), MalformedSession> {
        agreed.note_any(self.in_segments(segments)?)?;
        for &dots in ways_to_resolve(segments) {
            agreed.note_any(self.in_segments(&resolved(segments, dots))?)?;
        }
        Ok(())
    }

    fn in_segments<S: AsRef<[u8]>>(
        &self,
        segments: &[S],
    ) -> Result<Option<SessionId>, MalformedSession> {
        let mut read = segments
            .iter()
            .map(AsRef::as_ref)
            .filter(|segment| !segment.is_empty());
        let prefix = self.prefix.split('/').filter(|segment| !segment.is_empty());
        for expected in prefix {
            if read.next() != Some(expected.as_bytes()) {
                return Ok(None);
            }
        }
        match read.next() {
            // No application takes a dot segment for a session, and `/session/../about` is common.
            None | Some(b"." | b"..") => Ok(None),
            Some(id) => SessionId::parse_bytes(id).map(Some),
        }
    }
}

impl PathSegment {
    /// Reads a path.
    #[inline]
    pub(super) fn in_path(&self, path: &str) -> Result<Option<SessionId>, MalformedSession> {
        let bytes = path.as_bytes();
        let Some(rest) = bytes.strip_prefix(self.prefix.as_bytes()) else {
            return if reads_alike(bytes) {
                Ok(None)
            } else {
                self.in_any_reading(path)
            };
        };
        // Neither the prefix nor a UUID can be read in several ways, so only the rest has to be looked
        // through: from within the UUID on, as that takes whole blocks. Nor has the end of a UUID to be
        // searched for.
        if let Some((id, after)) = rest.split_first_chunk::<36>()
            && matches!(after.first(), None | Some(b'/'))
            && !is_odd(&rest[id.len() - BLOCK - 1..])
            && let Some(id) = SessionId::canonical_uuid(id)
        {
            return Ok(Some(id));
        }
        if !reads_alike(bytes) {
            return self.in_any_reading(path);
        }
        match rest.split(|&byte| byte == b'/').next() {
            None | Some(b"") => Ok(None),
            Some(id) => SessionId::parse_bytes(id).map(Some),
        }
    }

    /// Whether the path ends with the segment after the prefix, written plainly.
    pub(super) fn is_all_of(&self, path: &str) -> bool {
        let rest = path.strip_prefix(&*self.prefix).unwrap_or_default();
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        !rest.is_empty() && !rest.contains('/') && matches!(self.in_path(path), Ok(Some(_)))
    }
}

impl ExtractSession for PathSegment {
    fn session(&self, head: &Head<'_>) -> Result<Option<SessionId>, MalformedSession> {
        self.in_path(head.uri.path())
    }

    fn describe(&self) -> Cow<'_, str> {
        format!("the path segment after {}", self.prefix).into()
    }
}

fn decoded<'a>(segments: &[&'a [u8]]) -> Vec<Cow<'a, [u8]>> {
    segments
        .iter()
        .map(|segment| percent_decoded(segment))
        .collect()
}

/// How dot segments are resolved where that is done.
#[derive(Clone, Copy)]
enum Dots {
    /// Empty segments are dropped first, so `..` takes the last one that is not.
    AfterMerging,
    /// RFC 3986: `..` takes the segment before it, be it empty.
    OverEmpty,
}

fn ways_to_resolve<S: AsRef<[u8]>>(segments: &[S]) -> &'static [Dots] {
    let is_dots = |segment: &S| matches!(segment.as_ref(), b"." | b"..");
    if segments.iter().any(is_dots) {
        &[Dots::AfterMerging, Dots::OverEmpty]
    } else {
        &[]
    }
}

fn resolved<S: AsRef<[u8]>>(segments: &[S], dots: Dots) -> Vec<&[u8]> {
    let mut resolved: Vec<&[u8]> = Vec::with_capacity(segments.len());
    for segment in segments.iter().map(AsRef::as_ref) {
        match (segment, dots) {
            (b".", _) | (b"", Dots::AfterMerging) => {}
            (b"..", _) => drop(resolved.pop()),
            _ => resolved.push(segment),
        }
    }
    resolved
}

/// Whether all readings of a path come to the same: it begins with a slash and has nothing
/// encoded, no empty segment, no segment that begins with a dot, and no backslash.
#[inline]
fn reads_alike(path: &[u8]) -> bool {
    path.first() == Some(&b'/') && !is_odd(path)
}

/// How many bytes are looked at at once.
const BLOCK: usize = 16;

/// Whether a part of a path leaves room for several readings.
///
/// In blocks without early exit, because then the compiler compares all bytes of one at once. The last
/// block overlaps the one before it, in the place of a slow rest.
#[inline]
fn is_odd(part: &[u8]) -> bool {
    if part.len() > BLOCK {
        return is_odd_in_blocks(part);
    }
    // In a block of its own, filled up with what is never odd.
    let mut block = [0; BLOCK + 1];
    block[..part.len()].copy_from_slice(part);
    is_odd_in_blocks(&block)
}

/// `part` is longer than a block, for every byte is looked at beside the one before it.
fn is_odd_in_blocks(part: &[u8]) -> bool {
    let count = part.len() - 1;
    let mut odd = [0; BLOCK];
    for at in (0..count).step_by(BLOCK) {
        let at = at.min(count - BLOCK);
        let Some(block) = part[at..].first_chunk::<{ BLOCK + 1 }>() else {
            return true;
        };
        for at in 0..BLOCK {
            let (before, byte) = (block[at], block[at + 1]);
            // A slash and a dot differ in one bit.
            odd[at] |= u8::from(before == b'/') & u8::from(byte | 1 == b'/')
                | u8::from(byte == b'%')
                | u8::from(byte == b'\\');
        }
    }
    odd.iter().fold(0, |any, odd| any | odd) != 0
}

/// RFC 3986's `pchar` without percent-encoding, and no dot segment.
fn is_plain_segment(segment: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@".contains(&byte);
    !matches!(segment, "" | "." | "..") && segment.bytes().all(plain)
}

#[cfg(test)]
mod tests;
