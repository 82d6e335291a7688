//! Google Cloud Run.

use super::environment::{Environment, first_value, of_process};
use super::metadata::Question;
use crate::{IdentityError, MachineId, MachineIdentity};

const SIGN: &str = "K_SERVICE";
const HOST: &str = "GCE_METADATA_HOST";
const KUBERNETES: &str = "KUBERNETES_SERVICE_HOST";

/// An instance of a Google Cloud Run service.
///
/// ```no_run
/// # async fn start() -> Result<(), tower_ownership::machine::IdentityError> {
/// let identity = tower_ownership::identity::CloudRunInstance::discover().await?;
/// # Ok(())
/// # }
/// ```
///
/// The id is what the metadata server says at `/computeMetadata/v1/instance/id`. It is new for
/// each instance, and an instance does not outlive its memory. The containers of an instance share
/// it, so only the one that takes the requests may serve sessions. (Not `K_REVISION`, which all
/// instances share.)
///
/// `GCE_METADATA_HOST` overrides `metadata.google.internal`, as it does in Google's own libraries.
/// Only where `K_SERVICE` is set is anything asked, and not in Kubernetes, where Knative sets it
/// too: there the same question is answered with the id of the virtual machine, which many pods
/// share. Source: [container runtime
/// contract](https://cloud.google.com/run/docs/container-contract).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloudRunInstance(MachineId);

impl CloudRunInstance {
    /// Asks the metadata server, for at most two seconds, on any runtime.
    pub async fn discover() -> Result<Self, IdentityError> {
        question(&of_process)?.machine_id(whole).await.map(Self)
    }
}

impl MachineIdentity for CloudRunInstance {
    fn machine_id(&self) -> Result<MachineId, IdentityError> {
        Ok(self.0.clone())
    }
}

fn question(environment: Environment<'_>) -> Result<Question, IdentityError> {
    let hint = "Google Cloud Run sets it in every instance of a service";
    let (_, service) = first_value(&[SIGN], hint, environment)?;
    if let Some(host) = environment(KUBERNETES) {
        return Err(IdentityError::Ambiguous {
            found: vec![
                format!("Google Cloud Run: {SIGN}={service}"),
                format!("Kubernetes: {KUBERNETES}={host}"),
            ],
        });
    }
    let host = environment(HOST).filter(|host| !host.is_empty());
    let host = host.as_deref().unwrap_or("metadata.google.internal");
    Ok(Question {
        endpoint: format!("http://{host}/computeMetadata/v1/instance/id"),
        flavor: Some(("Metadata-Flavor", "Google")),
    })
}

// The shape that `Question::machine_id` takes; here nothing can go wrong.
#[expect(clippy::unnecessary_wraps)]
fn whole(answer: &str) -> Result<String, String> {
    Ok(answer.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::environment::tests::only;
    use super::super::metadata::tests::{Server, ok};
    use super::*;

    const FLAVOR: &str = "metadata-flavor: Google\r\n";

    async fn discover(server: &Server) -> Result<CloudRunInstance, IdentityError> {
        let host = server.url("").replace("http://", "");
        question(&only(&[(SIGN, "hello"), (HOST, &host)]))?
            .machine_id(whole)
            .await
            .map(CloudRunInstance)
    }

    fn flavored(body: &str) -> String {
        ok(body).replacen("\r\n", &format!("\r\n{FLAVOR}"), 1)
    }

    #[tokio::test]
    async fn the_instance_is_asked_for() {
        let id = "00bf4bf02d".repeat(16);
        let server = Server::answering(flavored(&format!("{id}\n")));
        let instance = discover(&server).await.unwrap();
        assert_eq!(instance.machine_id().unwrap().as_str(), id);
        let request = server.request();
        assert!(request.starts_with("GET /computeMetadata/v1/instance/id HTTP/1.1\r\n"));
        assert!(
            request.contains("\r\nMetadata-Flavor: Google\r\n"),
            "{request}"
        );
    }

    #[tokio::test]
    async fn an_answer_of_another_server_is_refused() {
        let server = Server::answering(ok("00bf4bf02d"));
        let error = discover(&server).await.unwrap_err().to_string();
        assert!(error.contains("no `Metadata-Flavor: Google`"), "{error}");
    }

    #[tokio::test]
    async fn an_answer_that_is_no_id_is_an_error() {
        for body in ["", "not an id", "<html>", &"ä".repeat(9999)] {
            let server = Server::answering(flavored(body));
            let error = discover(&server).await.unwrap_err();
            assert!(matches!(error, IdentityError::Unusable { .. }), "{error}");
            assert!(error.to_string().len() < 1000);
        }
    }

    #[test]
    fn outside_of_cloud_run_nothing_is_asked() {
        let error = question(&only(&[])).unwrap_err();
        assert!(
            error.to_string().contains("K_SERVICE is not set"),
            "{error}"
        );
        let error = question(&only(&[(SIGN, "hello"), (KUBERNETES, "10.0.0.1")])).unwrap_err();
        assert!(matches!(error, IdentityError::Ambiguous { .. }), "{error}");
    }

    #[test]
    fn the_usual_host_is_asked_by_default() {
        let question = question(&only(&[(SIGN, "hello"), (HOST, "")])).unwrap();
        assert_eq!(
            question.endpoint,
            "http://metadata.google.internal/computeMetadata/v1/instance/id"
        );
    }
}
