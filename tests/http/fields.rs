//! The fields of the crate's events and spans, as stores of logs need them.

use std::{collections::BTreeSet, fs, path::Path};

const OPERATIONS: &str = include_str!("../../src/manual/operations.md");

/// First parts of names that the Elastic Common Schema or the semantic conventions of OpenTelemetry use
/// as objects, so that a plain value of that name cannot be stored beside them. `code` among them:
/// `tracing-opentelemetry` adds `code.file.path` to whatever it exports.
const OBJECTS: &[&str] = &[
    "agent",
    "app",
    "client",
    "cloud",
    "code",
    "container",
    "data_stream",
    "db",
    "destination",
    "device",
    "ecs",
    "error",
    "event",
    "exception",
    "faas",
    "feature_flag",
    "file",
    "group",
    "host",
    "http",
    "k8s",
    "labels",
    "log",
    "message",
    "network",
    "observer",
    "orchestrator",
    "organization",
    "otel",
    "package",
    "peer",
    "process",
    "registry",
    "rpc",
    "server",
    "service",
    "session",
    "source",
    "span",
    "telemetry",
    "thread",
    "trace",
    "transaction",
    "url",
    "user",
    "user_agent",
];

/// The Rust files below a folder.
fn sources(folder: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(fs::read_to_string(path).unwrap());
        }
    }
}

/// What stands between the parentheses that open there.
fn arguments(text: &str) -> &str {
    let mut depth = 0_u32;
    let mut in_text = false;
    let mut before = ' ';
    for (at, c) in text.char_indices() {
        match c {
            '"' if before != '\\' => in_text = !in_text,
            '(' | '{' | '[' if !in_text => depth += 1,
            ')' | '}' | ']' if !in_text => {
                depth -= 1;
                if depth == 0 {
                    return &text[1..at];
                }
            }
            _ => {}
        }
        before = c;
    }
    text
}

/// Split where a comma is in no parentheses and no text.
fn parts(arguments: &str) -> Vec<&str> {
    let (mut depth, mut in_text, mut begin) = (0_i32, false, 0);
    let mut parts = Vec::new();
    for (at, c) in arguments.char_indices() {
        match c {
            '"' => in_text = !in_text,
            '(' | '{' | '[' if !in_text => depth += 1,
            ')' | '}' | ']' if !in_text => depth -= 1,
            ',' if !in_text && depth == 0 => {
                parts.push(arguments[begin..at].trim());
                begin = at + 1;
            }
            _ => {}
        }
    }
    parts.push(arguments[begin..].trim());
    parts
}

/// The names of all fields in the sources.
fn fields() -> BTreeSet<String> {
    let mut texts = Vec::new();
    sources(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("src"),
        &mut texts,
    );
    let macros = [
        "trace!",
        "debug!",
        "info!",
        "warn!",
        "error!",
        "debug_span!",
        "$level!",
        "event!",
    ];
    let mut fields = BTreeSet::new();
    for text in &texts {
        for name in macros {
            for (at, _) in text.match_indices(&format!("{name}(")) {
                let is_whole =
                    !text[..at].ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
                if !is_whole {
                    continue;
                }
                for part in parts(arguments(&text[at + name.len()..])) {
                    let name = part.split(" = ").next().unwrap_or(part);
                    let name = name.trim_start_matches(['%', '?']);
                    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
                    let is_field = name.chars().all(is_name) && !name.is_empty();
                    let is_level = matches!(name, "trace" | "debug" | "info" | "warn");
                    if is_field && !is_level {
                        fields.insert(name.to_owned());
                    }
                }
            }
        }
    }
    fields
}

#[test]
fn no_field_is_both_a_value_and_an_object() {
    let fields = fields();
    assert!(fields.len() > 25, "{fields:?}");
    for field in fields.iter().filter(|field| !field.starts_with("otel.")) {
        assert!(!field.contains('.'), "{field}");
        assert!(!OBJECTS.contains(&field.as_str()), "{field}");
    }
}

#[test]
fn every_field_is_in_the_manual() {
    let (_, section) = OPERATIONS.split_once("\n# What the log says\n").unwrap();
    let (section, _) = section.split_once("\n# ").unwrap();
    let listed: BTreeSet<String> = section
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once("` |"))
        .map(|(name, _)| name.to_owned())
        .filter(|name| !name.starts_with("tower_ownership"))
        .collect();
    assert_eq!(listed, fields());
}
