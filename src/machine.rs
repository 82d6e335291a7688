//! Machines: their ids, and how a process learns its own.

use std::{borrow::Borrow, fmt, str::FromStr, sync::Arc};

pub(crate) mod shape;

pub use crate::address::{Address, InvalidAddress};

/// The id of one running container instance.
///
/// 1 to 253 bytes of `[A-Za-z0-9._:/-]` that begin with a letter or a digit. A value of this type
/// can be written into a header, a URL template or a log line as it stands. A clone costs a
/// reference count.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MachineId(Arc<Box<str>>);

impl MachineId {
    /// The longest id in bytes, which is also the longest name that DNS allows.
    pub const MAX_LEN: usize = 253;

    /// Reads an id.
    pub fn parse(text: &str) -> Result<Self, InvalidMachineId> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._:/-".contains(&byte);
        let begins_well = text
            .bytes()
            .next()
            .is_some_and(|first| first.is_ascii_alphanumeric());
        if begins_well && text.len() <= Self::MAX_LEN && text.bytes().all(allowed) {
            // A thin pointer, at the price of a second one to follow: every cached session holds one.
            Ok(Self(Arc::new(text.into())))
        } else {
            Err(InvalidMachineId)
        }
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for MachineId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for MachineId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MachineId({})", self.0)
    }
}

impl AsRef<str> for MachineId {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for MachineId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl FromStr for MachineId {
    type Err = InvalidMachineId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

/// The text cannot be a [`MachineId`].
#[derive(Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a machine id is 1 to 253 bytes of letters, digits and `._:/-`, beginning with a letter or a digit"
)]
#[non_exhaustive]
pub struct InvalidMachineId;

/// How a process learns its own machine id.
///
/// Asked once, in [`build`](crate::OwnershipLayerBuilder::build): a machine that does not know
/// who it is must not start, rather than fail one request after another. A [`MachineId`] is an
/// identity too, so a platform that tells the id only over the network can be asked first.
///
/// The id has to change when the memory behind it is lost: a name such as `web-0` or `web.1`
/// comes back with new memory, so prefer the unique id where a platform offers both.
#[diagnostic::on_unimplemented(
    note = "see `tower_ownership::identity` for the platforms, or pass a `MachineId`"
)]
pub trait MachineIdentity: Send + Sync + 'static {
    /// This machine's id.
    fn machine_id(&self) -> Result<MachineId, IdentityError>;
}

impl MachineIdentity for MachineId {
    fn machine_id(&self) -> Result<MachineId, IdentityError> {
        Ok(self.clone())
    }
}

/// Why a process cannot tell which machine it is.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// None of the variables that would hold the id is set.
    #[error("no machine id: {}{}", not_set(.looked_for), and_so(.hint))]
    Missing {
        /// The names of the environment variables that were looked for.
        looked_for: Vec<String>,
        /// What to do about it; empty if the names say enough.
        hint: &'static str,
    },
    /// What should be the machine's id cannot be one.
    #[error("no machine id: {variable} holds {value:?}: {reason}")]
    Unusable {
        /// The environment variable, or where else the value comes from.
        variable: String,
        /// What it holds, or the beginning of it.
        value: String,
        /// Why that is no machine id.
        reason: InvalidMachineId,
    },
    /// Two platforms seem to be here at once, and a wrong guess would misdirect every request.
    #[error("no machine id: several platforms at once ({}); name the one to use", .found.join(", "))]
    Ambiguous {
        /// What was found, as `platform: VARIABLE=value`.
        found: Vec<String>,
    },
    /// The platform's metadata service did not tell.
    #[error("no machine id: {endpoint} did not answer usefully: {reason}")]
    Unavailable {
        /// What was asked.
        endpoint: String,
        /// What came of it.
        reason: String,
    },
}

fn not_set(names: &[String]) -> String {
    match names {
        [one] => format!("{one} is not set"),
        many => format!("none of {} is set", many.join(", ")),
    }
}

fn and_so(hint: &str) -> String {
    match hint {
        "" => String::new(),
        hint => format!("; {hint}"),
    }
}

crate::observe::debug_as_chain!(InvalidMachineId, IdentityError);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ids_of_all_platforms_are_read() {
        for id in [
            "e2863555a91708",
            "my-app-7d9f8b6c5-x2x9z",
            "8f03e412-4382-4aea-923a-ca126495f665",
            "arn:aws:ecs:us-west-2:111122223333:task/default/8f03e41243824aea923aca126495f665",
            "web.1",
            "10.0.0.7:8080",
        ] {
            assert_eq!(MachineId::parse(id).unwrap().as_str(), id);
        }
    }

    #[test]
    fn nothing_that_could_break_a_header_is_an_id() {
        let too_long = "a".repeat(MachineId::MAX_LEN + 1);
        for text in [
            "",
            "-a",
            ".a",
            "a b",
            "a;state=own.0",
            "a=b",
            "a,b",
            "a\r\nb",
            "ä",
            "a\"b",
            "a\0",
            too_long.as_str(),
        ] {
            assert_eq!(MachineId::parse(text), Err(InvalidMachineId), "{text:?}");
        }
        assert!(MachineId::parse(&too_long[1..]).is_ok());
    }

    #[test]
    fn an_error_says_what_to_set() {
        let missing = |names: &[&str], hint| IdentityError::Missing {
            looked_for: names.iter().map(ToString::to_string).collect(),
            hint,
        };
        for (error, text) in [
            (missing(&["A"], ""), "no machine id: A is not set"),
            (
                missing(&["A", "B"], "set one"),
                "no machine id: none of A, B is set; set one",
            ),
        ] {
            assert_eq!(error.to_string(), text);
        }
    }
}
