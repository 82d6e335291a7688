//! Names of tables and columns, as SQL reads them.

use std::fmt;

use super::PostgresConfigError;

/// A name that displays itself quoted, so that nothing in it is read as SQL and its case is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Identifier(String);

impl Identifier {
    /// `PostgreSQL` cuts longer names off without an error, and could then mean another table.
    const MAX_LEN: usize = 63;

    /// Reads a name; `what` says in the error which one it is.
    pub(super) fn parse(what: &'static str, name: &str) -> Result<Self, PostgresConfigError> {
        let reason = if name.is_empty() {
            "it is empty"
        } else if name.contains('\0') {
            "it contains a NUL"
        } else if name.len() > Self::MAX_LEN {
            "it is longer than 63 bytes"
        } else {
            return Ok(Self(name.to_owned()));
        };
        Err(PostgresConfigError::Identifier {
            what,
            name: name.to_owned(),
            reason,
        })
    }

    /// The name with something behind it. Where that would be too long, the name is cut and told
    /// apart from others that begin alike.
    pub(super) fn suffixed(&self, suffix: &str) -> Self {
        let whole = format!("{}{suffix}", self.0);
        if whole.len() <= Self::MAX_LEN {
            return Self(whole);
        }
        // FNV-1a: it has to be the same in every process and in every version.
        let hash = self.0.bytes().fold(0x811c_9dc5_u32, |hash, byte| {
            (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
        });
        let suffix = format!("_{hash:08x}{suffix}");
        let mut kept = Self::MAX_LEN.saturating_sub(suffix.len());
        while !self.0.is_char_boundary(kept) {
            kept -= 1;
        }
        Self(format!(
            "{}{suffix}",
            self.0.get(..kept).unwrap_or_default()
        ))
    }

    /// The name without quotes, as the catalog stores it.
    pub(super) fn name(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Identifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.replace('"', "\"\""))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_leave_its_quotes() {
        let quoted = |name| Identifier::parse("table", name).unwrap().to_string();
        assert_eq!(quoted("preview_sessions"), r#""preview_sessions""#);
        assert_eq!(quoted("Select"), r#""Select""#);
        assert_eq!(
            quoted(r#"a"; drop table b; --"#),
            r#""a""; drop table b; --""#
        );
    }

    #[test]
    fn names_that_postgres_would_misread_are_refused() {
        for name in ["", "a\0b", "a".repeat(64).as_str()] {
            assert!(Identifier::parse("table", name).is_err(), "{name:?}");
        }
    }
}
