//! Amazon ECS.

use serde::Deserialize;

use super::environment::{Environment, first_value, of_process};
use super::metadata::Question;
use crate::{IdentityError, MachineId, MachineIdentity};

const VARIABLE: &str = "ECS_CONTAINER_METADATA_URI_V4";

/// A task of Amazon ECS, on Fargate or EC2.
///
/// ```no_run
/// # async fn start() -> Result<(), tower_ownership::machine::IdentityError> {
/// let identity = tower_ownership::identity::EcsTask::discover().await?;
/// # Ok(())
/// # }
/// ```
///
/// The id is the last part of the task's ARN, such as `8f03e41243824aea923aca126495f665`. It is
/// new for each task; a container that a restart policy restarts within its task keeps the id and
/// loses its memory. The containers of a task share the id, so only one of them may serve
/// sessions.
///
/// Source: [task metadata endpoint version
/// 4](https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-metadata-endpoint-v4.html),
/// which tasks have on Fargate from platform version 1.4.0 and on EC2 from agent version 1.39.0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EcsTask(MachineId);

impl EcsTask {
    /// Asks the task metadata endpoint, for at most two seconds, on any runtime.
    pub async fn discover() -> Result<Self, IdentityError> {
        question(&of_process)?
            .machine_id(last_part_of_arn)
            .await
            .map(Self)
    }
}

impl MachineIdentity for EcsTask {
    fn machine_id(&self) -> Result<MachineId, IdentityError> {
        Ok(self.0.clone())
    }
}

fn question(environment: Environment<'_>) -> Result<Question, IdentityError> {
    let hint = "Amazon ECS sets it in every container of a task";
    let (_, base) = first_value(&[VARIABLE], hint, environment)?;
    Ok(Question {
        endpoint: format!("{}/task", base.trim_end_matches('/')),
        flavor: None,
    })
}

#[derive(Deserialize)]
struct Task {
    #[serde(rename = "TaskARN")]
    arn: String,
}

fn last_part_of_arn(answer: &str) -> Result<String, String> {
    let task: Task = serde_json::from_str(answer).map_err(|error| error.to_string())?;
    match task.arn.rsplit_once('/') {
        Some((_, id)) => Ok(id.to_owned()),
        None => Err(format!("{:?} is no ARN of a task", task.arn)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::environment::tests::only;
    use super::super::metadata::tests::{Server, ok};
    use super::*;

    const ANSWER: &str = r#"{
        "Cluster": "default",
        "TaskARN": "arn:aws:ecs:us-west-2:111122223333:task/default/8f03e41243824aea923aca126495f665",
        "Family": "query-metadata",
        "Containers": [{"DockerId": "cd189a933e5849daa93386466019ab50-2495160603", "Ports": []}]
    }"#;

    async fn discover(base: &str) -> Result<EcsTask, IdentityError> {
        question(&only(&[(VARIABLE, base)]))?
            .machine_id(last_part_of_arn)
            .await
            .map(EcsTask)
    }

    #[tokio::test]
    async fn the_task_is_asked_for() {
        let server = Server::answering(ok(ANSWER));
        let task = discover(&server.url("/v4/cd189a93")).await.unwrap();
        assert_eq!(
            task.machine_id().unwrap().as_str(),
            "8f03e41243824aea923aca126495f665"
        );
        assert!(
            server
                .request()
                .starts_with("GET /v4/cd189a93/task HTTP/1.1\r\n")
        );
    }

    #[tokio::test]
    async fn answers_without_a_task_are_errors() {
        for answer in [
            "",
            "{}",
            "<html>",
            r#"{"TaskARN": 1}"#,
            r#"{"TaskARN": "x"}"#,
        ] {
            let server = Server::answering(ok(answer));
            let error = discover(&server.url("/v4")).await.unwrap_err();
            assert!(
                matches!(&error, IdentityError::Unavailable { endpoint, .. } if endpoint.ends_with("/v4/task")),
                "{answer}: {error}"
            );
        }
        let server = Server::answering(ok(r#"{"TaskARN": "a/b c"}"#));
        let error = discover(&server.url("")).await.unwrap_err();
        assert!(matches!(error, IdentityError::Unusable { .. }), "{error}");
    }

    #[tokio::test]
    async fn elsewhere_the_variable_is_named() {
        let error = question(&only(&[])).unwrap_err();
        assert!(error.to_string().contains(VARIABLE), "{error}");
        for base in ["", "https://localhost/v4", "nonsense", "http://"] {
            let error = discover(base).await.unwrap_err();
            assert!(
                matches!(error, IdentityError::Unavailable { .. }),
                "{error}"
            );
        }
    }
}
