//! What the audience is told.

use reqwest::RequestBuilder;
use tower_ownership::testing::{FlyEdge, Hop, HopKind};

use crate::Result;

/// Sends one request through the edge, and tells where it went and what came back.
pub async fn ask(edge: &FlyEdge, session: &str) -> Result<()> {
    let asked = reqwest::Client::new().get(edge.url(&format!("/session/{session}/")));
    send(edge, asked).await
}

/// Opens a room, and tells the same.
pub async fn open(edge: &FlyEdge, room: &str) -> Result<()> {
    let opened = reqwest::Client::new().post(edge.url(&format!("/rooms/{room}")));
    send(edge, opened).await
}

async fn send(edge: &FlyEdge, request: RequestBuilder) -> Result<()> {
    let request = request.build()?;
    println!();
    println!("    {} {}", request.method(), request.url().path());
    let response = reqwest::Client::new().execute(request).await?;
    if let Some(location) = response.headers().get("location") {
        println!("      location: {}", location.to_str()?);
    }
    let request = response.headers().get("fly-request-id").cloned();
    let (status, text) = (response.status(), response.text().await?);
    for hop in edge.hops_of(
        request
            .as_ref()
            .and_then(|id| id.to_str().ok())
            .unwrap_or_default(),
    ) {
        println!("      {}", in_words(&hop));
    }
    println!("    The client reads: {status}");
    match serde_json::from_str::<serde_json::Value>(&text) {
        Err(_) if text.is_empty() => {}
        Ok(problem) => {
            for name in ["code", "title", "detail"] {
                println!(
                    "      {name}: {}",
                    problem[name].as_str().unwrap_or_default()
                );
            }
        }
        Err(_) => println!("      {text}"),
    }
    println!();
    Ok(())
}

pub fn in_words(hop: &Hop) -> String {
    let way = match hop.kind {
        HopKind::Landed => "edge -> ".to_owned(),
        HopKind::Replayed => "edge replays it -> ".to_owned(),
        HopKind::FellBack => {
            let reason = hop.reason.as_deref().unwrap_or("no reason given");
            format!("edge cannot reach the owner ({reason}), gives it back -> ")
        }
        _ => "edge, from its replay cache -> ".to_owned(),
    };
    let status = hop
        .status
        .map_or("no answer".to_owned(), |status| status.as_u16().to_string());
    let replay = hop
        .replay
        .as_ref()
        .map(|to| format!("  fly-replay: {to}"))
        .unwrap_or_default();
    format!("{way}{}  {status}{replay}", hop.machine)
}

pub fn scene(title: &str) {
    println!(
        "\n== {title} {}\n",
        "=".repeat(75_usize.saturating_sub(title.len()))
    );
}

pub fn say(text: &str) {
    println!("  {text}");
}
