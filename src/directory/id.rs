//! Which directory a machine reads.

use std::fmt;

/// Which directory a machine reads: machines that have the same id read the same sessions.
///
/// It travels with replayed and forwarded requests, so that a machine which does not find a session that
/// another one has found can log whether they read two directories. Nothing is decided by it: a client can
/// forge it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct DirectoryId([u8; Self::LEN]);

impl DirectoryId {
    const LEN: usize = 8;

    /// Reads eight hexadecimal digits in lower case.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digits: [u8; Self::LEN] = text.as_bytes().try_into().ok()?;
        let are_hex = digits
            .iter()
            .all(|it| matches!(it, b'0'..=b'9' | b'a'..=b'f'));
        are_hex.then_some(Self(digits))
    }

    /// The eight digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Display for DirectoryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for DirectoryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("DirectoryId").field(&self.as_str()).finish()
    }
}
