//! The platforms that tell a machine's id in an environment variable.

use super::environment::{Environment, first_id, of_process};
use crate::{IdentityError, MachineId, MachineIdentity};

/// What is known of a platform.
#[derive(Debug)]
pub(super) struct Platform {
    pub(super) name: &'static str,
    /// The variables that can hold the id, the best first.
    pub(super) variables: &'static [&'static str],
    /// What to do if none of them is set.
    pub(super) hint: &'static str,
}

impl Platform {
    /// The id, and the variable that it stands in.
    pub(super) fn ask(
        &self,
        environment: Environment<'_>,
    ) -> Result<(&'static str, MachineId), IdentityError> {
        first_id(self.variables, self.hint, environment)
    }
}

/// An identity is a unit struct, so that `FlyMachine` is all one has to write; and it can stay one,
/// because a second way to ask a platform would be a second identity.
macro_rules! identity {
    ($(#[$meta:meta])* $identity:ident = $platform:expr) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        #[expect(clippy::exhaustive_structs)]
        pub struct $identity;

        impl $identity {
            pub(super) const PLATFORM: Platform = $platform;
        }

        impl MachineIdentity for $identity {
            fn machine_id(&self) -> Result<MachineId, IdentityError> {
                Self::PLATFORM.ask(&of_process).map(|(_, id)| id)
            }
        }
    };
}

identity! {
    /// A Fly Machine: `FLY_MACHINE_ID`, which is what `fly-replay: instance=…` wants to hear.
    ///
    /// The id belongs to the Machine: it stays through stop, start, update and restart, all of
    /// which lose the memory. (Not `FLY_MACHINE_VERSION`, although the API calls that the
    /// `instance_id`.) Source: [the runtime
    /// environment](https://fly.io/docs/machines/runtime-environment/).
    FlyMachine = Platform {
        name: "Fly.io",
        variables: &["FLY_MACHINE_ID"],
        hint: "Fly.io sets it on every Machine",
    }
}

identity! {
    /// A Kubernetes pod: `POD_UID`, or `POD_NAME` if only that is set.
    ///
    /// Kubernetes sets neither by itself. The manifest has to, with the [downward
    /// API](https://kubernetes.io/docs/concepts/workloads/pods/downward-api/):
    ///
    /// ```yaml
    /// env:
    ///   - name: POD_UID
    ///     valueFrom:
    ///       fieldRef:
    ///         fieldPath: metadata.uid
    /// ```
    ///
    /// The UID belongs to the pod and never comes back. A container that crashes restarts in the
    /// same pod, though, with the same UID and without its memory. A name is as good for the pods
    /// of a Deployment; those of a `StatefulSet` come back under their old name (`web-0`) with new
    /// memory, maybe on another node, so there use the UID.
    KubernetesPod = Platform {
        name: "Kubernetes",
        variables: &["POD_UID", "POD_NAME"],
        hint: "the pod's manifest has to set POD_UID from `metadata.uid` with the downward API",
    }
}

identity! {
    /// A replica of an Azure Container App: `CONTAINER_APP_REPLICA_NAME`.
    ///
    /// A replica's name (`my-app--0000001-646779b4c5-bhc2v`) is new for each replica; a container
    /// that crashes restarts in the same replica without its memory. Many applications rely on
    /// the variable, and [Microsoft's
    /// list](https://learn.microsoft.com/azure/container-apps/environment-variables) names its
    /// siblings.
    AzureContainerApp = Platform {
        name: "Azure Container Apps",
        variables: &["CONTAINER_APP_REPLICA_NAME"],
        hint: "Azure Container Apps sets it on every replica",
    }
}

identity! {
    /// A Nomad allocation: `NOMAD_ALLOC_ID`.
    ///
    /// A rescheduled allocation is a new one with a new id; a task that Nomad restarts in place
    /// keeps the id and loses its memory. (Not `NOMAD_ALLOC_INDEX`, which comes back.) Where a
    /// group has several tasks that serve sessions, they share the id and need their own. Source:
    /// [runtime environment
    /// settings](https://developer.hashicorp.com/nomad/docs/reference/runtime-environment-settings).
    NomadAllocation = Platform {
        name: "Nomad",
        variables: &["NOMAD_ALLOC_ID"],
        hint: "Nomad sets it in every task",
    }
}

identity! {
    /// An instance of a Cloud Foundry application: `CF_INSTANCE_GUID`.
    ///
    /// An instance that is restarted or moved is a new one with a new id. (Not
    /// `CF_INSTANCE_INDEX`, which comes back.) Source: [Cloud Foundry environment
    /// variables](https://docs.cloudfoundry.org/devguide/deploy-apps/environment-variable.html).
    CloudFoundryInstance = Platform {
        name: "Cloud Foundry",
        variables: &["CF_INSTANCE_GUID"],
        hint: "Cloud Foundry sets it on every instance",
    }
}

identity! {
    /// A replica of a Railway deployment: `RAILWAY_REPLICA_ID`.
    ///
    /// Railway documents it as the id of the replica for the deployment, so another deployment
    /// has other ids; whether a restart keeps it is not documented, so expect it. Source:
    /// [variables reference](https://docs.railway.com/reference/variables).
    RailwayReplica = Platform {
        name: "Railway",
        variables: &["RAILWAY_REPLICA_ID"],
        hint: "Railway sets it on every replica",
    }
}

identity! {
    /// An instance of a Render service: `RENDER_INSTANCE_ID`.
    ///
    /// Many applications rely on it, but it is not in Render's own [list of
    /// variables](https://render.com/docs/environment-variables); whether a restart keeps the id
    /// is not documented either, so expect it.
    RenderInstance = Platform {
        name: "Render",
        variables: &["RENDER_INSTANCE_ID"],
        hint: "Render sets it on every instance",
    }
}

identity! {
    /// A Heroku dyno: `HEROKU_DYNO_ID`.
    ///
    /// Heroku sets it once the application has [dyno
    /// metadata](https://devcenter.heroku.com/articles/dyno-metadata):
    /// `heroku labs:enable runtime-dyno-metadata`, then deploy; not in Private Spaces, says that
    /// page, and not for container images. Whether a restart keeps it is not documented.
    ///
    /// `DYNO` is not read: `web.1` is a slot that comes back with new memory, and during a deploy
    /// two dynos [can have it at once](https://devcenter.heroku.com/articles/dyno-startup-behavior).
    /// In the Fir generation it is unique, and
    /// [`EnvironmentVariable::named("DYNO")`](super::EnvironmentVariable) is right.
    HerokuDyno = Platform {
        name: "Heroku",
        variables: &["HEROKU_DYNO_ID"],
        hint: "enable it with `heroku labs:enable runtime-dyno-metadata` and deploy \
            (DYNO is only a slot, which two dynos can have at once)",
    }
}

/// All of them, for [`detect`](super::detect()).
pub(super) const PLATFORMS: [Platform; 8] = [
    FlyMachine::PLATFORM,
    KubernetesPod::PLATFORM,
    AzureContainerApp::PLATFORM,
    NomadAllocation::PLATFORM,
    CloudFoundryInstance::PLATFORM,
    RailwayReplica::PLATFORM,
    RenderInstance::PLATFORM,
    HerokuDyno::PLATFORM,
];

#[cfg(test)]
mod tests {
    use super::super::environment::tests::only;
    use super::*;

    #[test]
    fn each_platform_is_read_and_reports_its_variable() {
        for platform in PLATFORMS {
            for &variable in platform.variables {
                let (read, id) = platform.ask(&only(&[(variable, "id-1")])).unwrap();
                assert_eq!((read, id.as_str()), (variable, "id-1"));
            }
            let error = platform.ask(&only(&[])).unwrap_err().to_string();
            for variable in platform.variables {
                assert!(error.contains(variable), "{error}");
            }
            assert!(error.ends_with(platform.hint), "{error}");
        }
    }

    #[test]
    fn the_uid_of_a_pod_is_better_than_its_name() {
        let both = only(&[("POD_NAME", "web-0"), ("POD_UID", "u-1")]);
        let (variable, id) = KubernetesPod::PLATFORM.ask(&both).unwrap();
        assert_eq!((variable, id.as_str()), ("POD_UID", "u-1"));
    }

    #[test]
    fn a_slot_is_no_dyno() {
        let error = HerokuDyno::PLATFORM
            .ask(&only(&[("DYNO", "web.1")]))
            .unwrap_err();
        assert!(error.to_string().contains("runtime-dyno-metadata"));
    }
}
