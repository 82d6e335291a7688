//! The JSON form of a replay (Fly docs: Dynamic Request Routing, "Replay JSON Format").

use serde::Deserialize;

use super::cache_order::CacheOrder;
use super::instruction::{Instruction, Malformed, regions};
use super::transform::Transform;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    instance: Option<String>,
    prefer_instance: Option<String>,
    region: Option<String>,
    app: Option<String>,
    state: Option<String>,
    #[serde(default)]
    elsewhere: bool,
    timeout: Option<String>,
    fallback: Option<String>,
    transform: Option<TransformDocument>,
    cache: Option<CacheDocument>,
    /// Whether this belongs here or into `cache` is not documented: both are read.
    #[serde(default)]
    allow_bypass: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TransformDocument {
    path: Option<String>,
    #[serde(default)]
    delete_headers: Vec<String>,
    #[serde(default)]
    set_headers: Vec<HeaderDocument>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HeaderDocument {
    name: String,
    value: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CacheDocument {
    prefix: Option<String>,
    ttl: Option<u64>,
    #[serde(default)]
    invalidate: bool,
    #[serde(default)]
    allow_bypass: bool,
}

/// Reads the body of a response whose type is `application/vnd.fly.replay+json`.
pub(super) fn read(body: &[u8]) -> Result<Instruction, Malformed> {
    let document: Document =
        serde_json::from_slice(body).map_err(|error| Malformed(error.to_string()))?;
    let mut instruction = Instruction::default();
    for (name, value) in [
        ("instance", &document.instance),
        ("prefer_instance", &document.prefer_instance),
        ("app", &document.app),
        ("state", &document.state),
        ("timeout", &document.timeout),
        ("fallback", &document.fallback),
    ] {
        if let Some(value) = value {
            instruction.set_text(name, value)?;
        }
    }
    if let Some(list) = &document.region {
        instruction.target.regions = regions(list)?;
    }
    instruction.target.elsewhere = document.elsewhere;
    if let Some(transform) = document.transform {
        let set: Vec<_> = transform
            .set_headers
            .into_iter()
            .map(|header| (header.name, header.value))
            .collect();
        instruction.transform =
            Transform::new(transform.path.as_deref(), &transform.delete_headers, &set)?;
    }
    if let Some(cache) = document.cache {
        let bypass = document.allow_bypass || cache.allow_bypass;
        instruction.cache = match (cache.invalidate, cache.prefix) {
            (true, None) => CacheOrder::Invalidate,
            (false, Some(prefix)) => CacheOrder::store(&prefix, cache.ttl, bypass)?,
            _ => return Err(Malformed("cache needs either prefix or invalidate".into())),
        };
    }
    instruction.checked()
}
