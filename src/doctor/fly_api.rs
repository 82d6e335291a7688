//! Fly's Machines API.

use std::{fmt, time::Duration};

use http::{HeaderMap, HeaderValue, StatusCode, header};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use tokio::time::{Instant, sleep, timeout_at};

use super::{
    facts::{PlatformMachine, Service},
    url::{InvalidUrl, address},
};
use crate::{
    Address,
    http_client::{HttpClient, NoAnswer},
};

/// Where the API is outside of Fly's private network.
const PUBLIC: &str = "https://api.machines.dev";

/// The wait where a refusal for asking too often does not tell one: the API allows five of these
/// questions a second.
const PAUSE: Duration = Duration::from_secs(1);

/// Fly's Machines API, which knows what state a machine is in.
///
/// One question is asked for a diagnosis. If too many were asked by others (429), it waits for as
/// long as the answer says and asks again, within the doctor's limit.
#[derive(Clone)]
pub struct FlyApi {
    base: String,
    app: String,
    token: String,
}

impl FlyApi {
    /// The API for an app, and a token that may read it.
    #[must_use]
    pub fn new(app: impl Into<String>, token: impl Into<String>) -> Self {
        Self {
            base: PUBLIC.to_owned(),
            app: app.into(),
            token: token.into(),
        }
    }

    /// Where the API is. Default: `https://api.machines.dev`; in the private network it is also
    /// `http://_api.internal:4280`.
    pub fn base_url(mut self, url: &str) -> Result<Self, InvalidUrl> {
        address(url)?;
        url.trim_end_matches('/').clone_into(&mut self.base);
        Ok(self)
    }

    pub(super) fn app(&self) -> &str {
        &self.app
    }

    /// How the machine is.
    pub(super) async fn machine(&self, id: &str, limit: Duration) -> PlatformMachine {
        let not_answered = |why: String| PlatformMachine::NotAnswered { why };
        let segment = |text| utf8_percent_encode(text, NON_ALPHANUMERIC);
        let url = format!(
            "{}/v1/apps/{}/machines/{}",
            self.base,
            segment(&self.app),
            segment(id)
        );
        let url = match address(&url) {
            Ok(url) => url,
            Err(error) => return not_answered(error.to_string()),
        };
        let deadline = Instant::now() + limit;
        match timeout_at(deadline, self.patiently(url, limit, deadline)).await {
            Ok(Ok(machine)) => machine,
            Ok(Err(why)) => not_answered(why),
            Err(_) => not_answered(format!("the Machines API did not answer within {limit:?}")),
        }
    }

    async fn patiently(
        &self,
        url: Address,
        limit: Duration,
        deadline: Instant,
    ) -> Result<PlatformMachine, String> {
        let accept = HeaderValue::from_static("application/json");
        let mut bearer = HeaderValue::from_str(&format!("Bearer {}", self.token))
            .map_err(|_| "the token holds what no header can".to_owned())?;
        bearer.set_sensitive(true);
        let headers =
            HeaderMap::from_iter([(header::ACCEPT, accept), (header::AUTHORIZATION, bearer)]);
        let client = HttpClient::default();
        loop {
            let answer = client.get(url.as_uri(), headers.clone(), limit).await;
            let answer = answer
                .map_err(|NoAnswer(why)| format!("the Machines API cannot be asked: {why}"))?;
            let status = answer.status;
            match status {
                StatusCode::OK => {
                    return read(&answer.body).ok_or_else(|| {
                        "the Machines API answered with something that is no machine".to_owned()
                    });
                }
                StatusCode::NOT_FOUND => return Ok(PlatformMachine::Gone),
                StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                    return Err(format!(
                        "the Machines API does not let this token see the app {:?} ({})",
                        self.app,
                        status.as_u16()
                    ));
                }
                StatusCode::TOO_MANY_REQUESTS => {
                    let pause = retry_after(&answer.headers);
                    if Instant::now() + pause >= deadline {
                        return Err(format!(
                            "the Machines API is asked too often (429), and wants a pause of {pause:?}"
                        ));
                    }
                    sleep(pause).await;
                }
                other => return Err(format!("the Machines API answered {}", other.as_u16())),
            }
        }
    }
}

fn retry_after(headers: &HeaderMap) -> Duration {
    headers
        .get(header::RETRY_AFTER)
        .and_then(|value| value.to_str().ok())
        .and_then(|text| text.trim().parse().ok())
        .map_or(PAUSE, Duration::from_secs)
}

/// Reads a machine as the API describes it. States are an open set.
fn read(body: &[u8]) -> Option<PlatformMachine> {
    let machine: Value = serde_json::from_slice(body).ok()?;
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let word = text(&machine["state"])?;
    // The API shows a machine for a moment after it was destroyed.
    if word == "destroyed" {
        return Some(PlatformMachine::Gone);
    }
    let services = machine["config"]["services"].as_array().map(|services| {
        services
            .iter()
            .flat_map(|service| {
                let autostart = service["autostart"].as_bool();
                let ports = service["ports"].as_array().into_iter().flatten();
                ports.map(move |port| Service {
                    port: port["port"].as_u64().and_then(|port| port.try_into().ok()),
                    handlers: port["handlers"]
                        .as_array()
                        .into_iter()
                        .flatten()
                        .filter_map(|handler| handler.as_str().map(str::to_owned))
                        .collect(),
                    autostart,
                })
            })
            .collect()
    });
    // A configuration without services is one that offers nothing to the proxy.
    let services = services.or_else(|| machine["config"].is_object().then(Vec::new));
    Some(PlatformMachine::Known {
        region: text(&machine["region"]),
        word,
        services,
    })
}

impl fmt::Debug for FlyApi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FlyApi")
            .field("base", &self.base)
            .field("app", &self.app)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_is_read_as_far_as_it_is_described() {
        let known = |word: &str, services| {
            Some(PlatformMachine::Known {
                word: word.to_owned(),
                region: Some("iad".to_owned()),
                services,
            })
        };
        let full = br#"{"id": "e2863555a91708", "state": "started", "region": "iad", "config":
            {"services": [{"protocol": "tcp", "internal_port": 8080, "autostart": true,
              "ports": [{"port": 443, "handlers": ["tls", "http"]}, {"port": 80}]}]}}"#;
        let services = vec![
            Service {
                port: Some(443),
                handlers: vec!["tls".to_owned(), "http".to_owned()],
                autostart: Some(true),
            },
            Service {
                port: Some(80),
                handlers: Vec::new(),
                autostart: Some(true),
            },
        ];
        assert_eq!(read(full), known("started", Some(services)));
        let bare = br#"{"state": "hibernating", "region": "iad", "config": {}}"#;
        assert_eq!(read(bare), known("hibernating", Some(Vec::new())));
        let silent = br#"{"state": "stopped", "region": "iad"}"#;
        assert_eq!(read(silent), known("stopped", None));
        assert_eq!(
            read(br#"{"state": "destroyed"}"#),
            Some(PlatformMachine::Gone)
        );
        for nonsense in [&b""[..], b"[]", b"{}", b"null", br#"{"state": 7}"#] {
            assert_eq!(read(nonsense), None);
        }
    }

    #[test]
    fn a_token_is_not_shown() {
        let api = FlyApi::new("previews", "fo1_secret");
        assert!(!format!("{api:?}").contains("fo1_secret"));
    }
}
