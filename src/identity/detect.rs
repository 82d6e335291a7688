//! Finding out on which platform the process runs.

use super::environment::{Environment, first_id, of_process};
use super::platform::{HerokuDyno, KubernetesPod, PLATFORMS};
use crate::{IdentityError, MachineId, MachineIdentity};

/// Looks for the one platform among all that [this module](super) knows.
///
/// ```no_run
/// use tower_ownership::{MachineIdentity, identity::detect};
///
/// let identity = detect();
/// println!("{identity:?}");
/// let id = identity.machine_id()?;
/// # Ok::<(), tower_ownership::machine::IdentityError>(())
/// ```
///
/// It never guesses. Where the variables of two platforms are set, none is chosen, because the
/// wrong one would misdirect every request: name the identity then. A program that is meant for
/// one platform should name it anyway; this is for those that run on whatever there is.
///
/// A variable that only one platform sets is a sign of it. `POD_NAME` is a habit, and counts only
/// beside the `KUBERNETES_SERVICE_HOST` that Kubernetes sets. Amazon ECS and Google Cloud Run are
/// recognised, but only to say that they have to be asked over the network.
#[must_use]
pub fn detect() -> Detect {
    Detect {
        found: detect_in(&of_process),
    }
}

/// What [`detect`] found.
#[derive(Clone, Debug)]
pub struct Detect {
    found: Result<Found, IdentityError>,
}

impl Detect {
    /// The machine and the platform, or why there is none.
    pub fn found(&self) -> Result<&Found, &IdentityError> {
        self.found.as_ref()
    }
}

impl MachineIdentity for Detect {
    fn machine_id(&self) -> Result<MachineId, IdentityError> {
        let found = self.found.clone()?;
        tracing::info!(
            platform = found.platform,
            variable = found.variable,
            machine = %found.machine_id,
            "detected which machine this is"
        );
        Ok(found.machine_id)
    }
}

/// A machine that was detected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    platform: &'static str,
    variable: &'static str,
    machine_id: MachineId,
}

impl Found {
    /// What would be found on such a platform.
    #[cfg(test)]
    pub(crate) fn for_test(
        platform: &'static str,
        variable: &'static str,
        machine_id: MachineId,
    ) -> Self {
        Self {
            platform,
            variable,
            machine_id,
        }
    }

    /// The platform's name, such as `Fly.io`.
    #[must_use]
    pub fn platform(&self) -> &'static str {
        self.platform
    }

    /// The environment variable that the id stands in.
    #[must_use]
    pub fn variable(&self) -> &'static str {
        self.variable
    }

    /// The id.
    #[must_use]
    pub fn machine_id(&self) -> &MachineId {
        &self.machine_id
    }
}

const ECS: &str = "ECS_CONTAINER_METADATA_URI_V4";
const KUBERNETES: &str = "KUBERNETES_SERVICE_HOST";

/// What is said when no id is there but something else is, the most certain first.
const HINTS: [(&str, &str); 4] = [
    (
        ECS,
        "this is Amazon ECS, which tells the id only over the network: use \
         `EcsTask::discover().await` of the feature `metadata`",
    ),
    ("DYNO", HerokuDyno::PLATFORM.hint),
    (KUBERNETES, KubernetesPod::PLATFORM.hint),
    // After Kubernetes, because Knative sets it there.
    (
        "K_SERVICE",
        "this is Google Cloud Run, which tells the id only over the network: use \
         `CloudRunInstance::discover().await` of the feature `metadata`",
    ),
];

fn detect_in(environment: Environment<'_>) -> Result<Found, IdentityError> {
    // An empty variable is no sign of anything: compose files and `.env` templates have many.
    let value = |name: &str| environment(name).filter(|value| !value.is_empty());
    let sign = |name: &str| name != "POD_NAME" || value(KUBERNETES).is_some();
    let signs: Vec<_> = PLATFORMS
        .iter()
        .filter_map(|platform| {
            let mut variables = platform.variables.iter().copied();
            let variable = variables.find(|name| sign(name) && value(name).is_some())?;
            Some((platform, variable))
        })
        .collect();

    if let ([(platform, variable)], None) = (signs.as_slice(), value(ECS)) {
        let machine_id = first_id(&[variable], "", environment)?.1;
        return Ok(Found {
            platform: platform.name,
            variable,
            machine_id,
        });
    }
    if signs.is_empty() {
        let looked_for = PLATFORMS.iter().flat_map(|platform| platform.variables);
        let hint = HINTS.iter().find(|(name, _)| value(name).is_some());
        return Err(IdentityError::Missing {
            looked_for: looked_for.map(ToString::to_string).collect(),
            hint: hint.map_or(
                "elsewhere name the variable with `EnvironmentVariable`, or pass a `MachineId`",
                |(_, hint)| hint,
            ),
        });
    }
    let mut found: Vec<_> = signs
        .iter()
        .map(|(platform, variable)| (platform.name, *variable))
        .collect();
    found.extend(value(ECS).map(|_| ("Amazon ECS", ECS)));
    Err(IdentityError::Ambiguous {
        found: found
            .iter()
            .map(|(platform, variable)| {
                let value = value(variable).unwrap_or_default();
                format!("{platform}: {variable}={value}")
            })
            .collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::super::environment::tests::only;
    use super::*;

    fn found(variables: &[(&str, &str)]) -> Result<Found, IdentityError> {
        detect_in(&only(variables))
    }

    #[test]
    fn each_platform_is_detected_by_each_of_its_variables() {
        for platform in PLATFORMS {
            for &variable in platform.variables {
                let found = found(&[
                    (variable, "id-1"),
                    (KUBERNETES, "10.0.0.1"),
                    ("HOSTNAME", "x"),
                ])
                .unwrap();
                assert_eq!(found.platform(), platform.name);
                assert_eq!(found.variable(), variable);
                assert_eq!(found.machine_id().as_str(), "id-1");
            }
        }
    }

    #[test]
    fn two_platforms_at_once_are_not_guessed_between() {
        let error = found(&[("FLY_MACHINE_ID", "a"), ("NOMAD_ALLOC_ID", "b")]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "no machine id: several platforms at once (Fly.io: FLY_MACHINE_ID=a, Nomad: \
             NOMAD_ALLOC_ID=b); name the one to use"
        );
        let error = found(&[("FLY_MACHINE_ID", "a"), (ECS, "http://x")]).unwrap_err();
        assert!(error.to_string().contains("Amazon ECS: ECS_CON"), "{error}");
    }

    #[test]
    fn two_variables_of_one_platform_are_one_platform() {
        let found = found(&[("POD_NAME", "web-0"), ("POD_UID", "u-1")]).unwrap();
        assert_eq!(found.variable(), "POD_UID");
    }

    #[test]
    fn what_anybody_may_set_is_no_sign() {
        let nothing = [
            ("HOSTNAME", "web-0"),
            ("POD_NAME", "web-0"),
            ("FLY_MACHINE_ID", ""),
        ];
        let error = found(&nothing).unwrap_err().to_string();
        assert!(error.contains("`EnvironmentVariable`"), "{error}");
        for platform in PLATFORMS {
            assert!(error.contains(platform.variables[0]), "{error}");
        }
    }

    #[test]
    fn a_platform_that_must_be_asked_is_named() {
        for (variables, hint) in [
            (vec![(ECS, "http://x")], "EcsTask::discover"),
            (vec![("K_SERVICE", "x")], "CloudRunInstance::discover"),
            (vec![("DYNO", "web.1")], "runtime-dyno-metadata"),
            (vec![(KUBERNETES, "x")], "metadata.uid"),
            (vec![("K_SERVICE", "x"), (KUBERNETES, "x")], "metadata.uid"),
        ] {
            let error = found(&variables).unwrap_err().to_string();
            assert!(error.contains(hint), "{error}");
        }
    }

    #[test]
    fn an_unusable_id_is_named() {
        let error = found(&[("FLY_MACHINE_ID", "a b")]).unwrap_err();
        assert!(
            matches!(error, IdentityError::Unusable { variable, .. } if variable == "FLY_MACHINE_ID")
        );
    }

    #[test]
    fn what_was_found_can_be_asked_for() {
        let detect = Detect {
            found: found(&[("FLY_MACHINE_ID", "a")]),
        };
        assert_eq!(detect.found().unwrap().platform(), "Fly.io");
        assert_eq!(detect.machine_id().unwrap().as_str(), "a");
        assert!(format!("{detect:?}").contains("Fly.io"));
    }
}
