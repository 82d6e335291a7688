//! Identities that stand in an environment variable.

use std::{borrow::Cow, env};

use crate::{IdentityError, MachineId, MachineIdentity};

/// The machine's id stands in an environment variable of your choice.
///
/// ```no_run
/// use tower_ownership::{MachineIdentity, identity::EnvironmentVariable};
///
/// let id = EnvironmentVariable::named("MY_MACHINE_ID").machine_id()?;
/// # Ok::<(), tower_ownership::machine::IdentityError>(())
/// ```
///
/// The value has to differ between any two machines that run at once, and should change when the
/// memory is lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvironmentVariable {
    name: Cow<'static, str>,
}

impl EnvironmentVariable {
    /// The variable of this name.
    #[must_use]
    pub fn named(name: impl Into<Cow<'static, str>>) -> Self {
        Self { name: name.into() }
    }
}

impl MachineIdentity for EnvironmentVariable {
    fn machine_id(&self) -> Result<MachineId, IdentityError> {
        first_id(&[&self.name], "", &of_process).map(|(_, id)| id)
    }
}

/// How variables are read: tests cannot set those of their own process, which has many threads.
pub(super) type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The process's own environment. What is not Unicode comes back as something that is no id.
pub(super) fn of_process(name: &str) -> Option<String> {
    env::var_os(name).map(|value| value.to_string_lossy().into_owned())
}

/// The id in the first of these variables that is set, and which one that is.
///
/// A variable that is set to something unusable, such as nothing, is an error and not skipped: the
/// manifest that sets it is broken, and the next one may hold an id that is worse.
pub(super) fn first_id<'n>(
    names: &[&'n str],
    hint: &'static str,
    environment: Environment<'_>,
) -> Result<(&'n str, MachineId), IdentityError> {
    let (name, value) = first_value(names, hint, environment)?;
    usable(name, &value).map(|id| (name, id))
}

/// The value of the first of these variables that is set, and which one that is.
pub(super) fn first_value<'n>(
    names: &[&'n str],
    hint: &'static str,
    environment: Environment<'_>,
) -> Result<(&'n str, String), IdentityError> {
    names
        .iter()
        .find_map(|name| Some((*name, environment(name)?)))
        .ok_or_else(|| IdentityError::Missing {
            looked_for: names.iter().map(ToString::to_string).collect(),
            hint,
        })
}

/// The id, or an error that says where the unusable one comes from.
pub(super) fn usable(origin: &str, value: &str) -> Result<MachineId, IdentityError> {
    MachineId::parse(value).map_err(|reason| IdentityError::Unusable {
        variable: origin.to_owned(),
        // Whatever it is, it goes into a log.
        value: value.chars().take(SHOWN).collect(),
        reason,
    })
}

/// How much of an unusable value an error shows, in characters.
const SHOWN: usize = 300;

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// An environment with only these variables in it.
    pub(crate) fn only(variables: &[(&str, &str)]) -> impl Fn(&str) -> Option<String> + use<> {
        let variables: Vec<(String, String)> = variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        move |name| {
            let (_, value) = variables.iter().find(|(known, _)| known == name)?;
            Some(value.clone())
        }
    }

    #[test]
    fn the_first_variable_that_is_set_counts() {
        let names = ["A", "B"];
        let read = |variables: &[(&str, &str)]| first_id(&names, "", &only(variables));
        assert_eq!(read(&[("B", "b"), ("A", "a")]).unwrap().0, "A");
        assert_eq!(read(&[("B", "b")]).unwrap().1.as_str(), "b");
        assert_eq!(
            read(&[("C", "c")]).unwrap_err().to_string(),
            "no machine id: none of A, B is set"
        );
    }

    #[test]
    fn an_unusable_value_is_not_passed_over() {
        for value in ["", " a", "a\n", "a b", "\u{fffd}"] {
            let environment = only(&[("A", value), ("B", "b")]);
            let error = first_id(&["A", "B"], "", &environment).unwrap_err();
            assert!(
                error.to_string().contains(&format!("A holds {value:?}")),
                "{error}"
            );
        }
    }

    #[test]
    fn a_variable_of_ones_own_is_read_from_the_process() {
        let missing = EnvironmentVariable::named("TOWER_OWNERSHIP_NEVER_SET");
        assert_eq!(
            missing.machine_id().unwrap_err().to_string(),
            "no machine id: TOWER_OWNERSHIP_NEVER_SET is not set"
        );
        for name in ["", "A=B", "\0"] {
            assert!(EnvironmentVariable::named(name).machine_id().is_err());
        }
        // Cargo sets it for every test.
        let set = EnvironmentVariable::named("CARGO_PKG_NAME".to_owned());
        assert_eq!(set.machine_id().unwrap().as_str(), "tower-ownership");
    }
}
