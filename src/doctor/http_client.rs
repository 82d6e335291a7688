//! The client of all requests: what is answered is what is seen.

use std::{error::Error, time::Duration};

use reqwest::{Client, Response, redirect::Policy};

use crate::lookup::postgres::client_config;

/// What is read of a body: enough for a problem document and for a machine's configuration.
const MOST: usize = 1 << 20;

/// A client that follows no redirect. It trusts what the system trusts.
pub(super) fn client(limit: Duration) -> Result<Client, String> {
    let tls = client_config().map_err(|error| chain(&error))?;
    Client::builder()
        .tls_backend_preconfigured(tls)
        .redirect(Policy::none())
        .timeout(limit)
        .user_agent(concat!(
            "tower-ownership-doctor/",
            env!("CARGO_PKG_VERSION")
        ))
        .build()
        .map_err(|error| chain(&error))
}

/// The beginning of the body, as far as it comes.
pub(super) async fn body(response: &mut Response) -> Vec<u8> {
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        body.extend_from_slice(&chunk);
        if body.len() >= MOST {
            body.truncate(MOST);
            break;
        }
    }
    body
}

/// The error, then what caused it. A cause that was said already is not said again.
pub(super) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}
