//! The manual says what is true: each code, each default, each test and file that it cites.

use std::{
    fs,
    path::{Path, PathBuf},
};

use tower_ownership::{
    CachePolicy, FlyReplay, OwnershipLayer, RejectionCode, health::HealthBuilder,
};

const REJECTIONS: &str = include_str!("../../src/manual/rejections.md");
const DEFAULTS: &str = include_str!("../../src/manual/defaults.md");
const GUARANTEES: &str = include_str!("../../src/manual/guarantees.md");
const CODES: &str = include_str!("../../src/rejection/codes.rs");

const PAGES: [(&str, &str); 11] = [
    ("comparison", include_str!("../../src/manual/comparison.md")),
    (
        "database_sessions",
        include_str!("../../src/manual/database_sessions.md"),
    ),
    ("defaults", DEFAULTS),
    (
        "getting_started",
        include_str!("../../src/manual/getting_started.md"),
    ),
    ("guarantees", GUARANTEES),
    ("mcp", include_str!("../../src/manual/mcp.md")),
    ("migrating", include_str!("../../src/manual/migrating.md")),
    ("operations", include_str!("../../src/manual/operations.md")),
    ("rejections", REJECTIONS),
    ("rooms", include_str!("../../src/manual/rooms.md")),
    ("subdomains", include_str!("../../src/manual/subdomains.md")),
];

/// What is cited and not there yet; whoever brings it takes it out of here.
const TO_COME: [&str; 0] = [];

/// The text below a heading, up to the next one.
fn section<'a>(page: &'a str, heading: &str) -> &'a str {
    let begin = format!("\n# {heading}\n");
    let found: Vec<_> = page.match_indices(&begin).collect();
    assert_eq!(found.len(), 1, "sections {heading}");
    let rest = &page[found[0].0 + begin.len()..];
    rest.split("\n# ").next().unwrap()
}

/// What stands beside `name` in the section's table.
fn row<'a>(section: &'a str, name: &str) -> &'a str {
    let begin = format!("| {name} | ");
    let line = section.lines().find(|line| line.starts_with(&begin));
    let line = line.unwrap_or_else(|| panic!("no row {name} in {section}"));
    line[begin.len()..].trim_end_matches('|').trim()
}

#[test]
fn every_code_has_its_section_with_what_a_client_sees() {
    for code in RejectionCode::ALL {
        let section = section(REJECTIONS, code.as_str());
        let status = row(section, "status");
        assert!(
            status.contains(&code.status().as_u16().to_string()),
            "{code:?}: {status}"
        );
        let wait = row(section, "`Retry-After`");
        match code.retry_after() {
            Some(after) => {
                let seconds = after.as_secs().to_string();
                assert!(wait.starts_with(&seconds), "{code:?}: {wait}");
            }
            None => assert_eq!(wait, "none", "{code:?}"),
        }
        assert_eq!(row(section, "title"), code.title(), "{code:?}");
        let log = row(section, "log");
        let says = format!("code={}", code.as_str());
        // Nobody on this side can know that a replay was not honoured.
        let told = *code == RejectionCode::ReplayNotHonoured || log.contains(&says);
        assert!(told, "{code:?}: {log}");
        for part in ["**Cause.**", "**Operator.**", "**Client.**", "```text"] {
            assert!(section.contains(part), "{code:?} has no {part}");
        }
    }
    let sections = REJECTIONS.matches("\n# ").count();
    assert_eq!(
        sections,
        RejectionCode::ALL.len() + 1,
        "one more: how they look"
    );
}

#[test]
fn headlines_are_those_of_the_page() {
    for code in RejectionCode::ALL {
        let page = row(section(REJECTIONS, code.as_str()), "page");
        let headlines: Vec<_> = page.split('“').skip(1).collect();
        assert!(!headlines.is_empty(), "{code:?}");
        for headline in headlines {
            let headline = headline.split('”').next().unwrap();
            assert!(CODES.contains(&format!("\"{headline}\"")), "{headline}");
        }
    }
}

/// The documentation of the renderer holds the table of gRPC's statuses.
#[test]
fn grpc_statuses_are_those_of_the_renderer() {
    let renderer = include_str!("../../src/render/default.rs");
    for code in RejectionCode::ALL {
        let cell = format!("`{}`", code.as_str());
        let mut rows = renderer.lines().filter_map(|line| {
            let mut cells = line.strip_prefix("/// | ")?.split(" | ");
            Some((cells.next()?, cells.next()?))
        });
        let (_, expected) = rows.find(|(codes, _)| codes.contains(&cell)).unwrap();
        let told = row(section(REJECTIONS, code.as_str()), "gRPC");
        assert_eq!(told, expected, "{code:?}");
    }
}

#[test]
fn defaults_are_those_of_the_code() {
    let freshness = format!("{:?}", CachePolicy::new());
    for (name, told, is) in [
        ("owned", "5 s", "owned: 5000"),
        ("elsewhere", "30 s", "elsewhere: 30000"),
        ("unknown", "1 s", "unknown: 1000"),
        ("recheck", "250 ms", "recheck: 250"),
        ("stale_if_error", "60 s", "stale_if_error: 60000"),
        ("stale_owned_if_error", "0 s", "stale_owned_if_error: 0"),
    ] {
        assert!(freshness.contains(&format!("{is},")) || freshness.contains(&format!("{is} ")));
        tells(&format!("crate::CachePolicy::{name}"), told);
    }
    assert_eq!(CachePolicy::DEFAULT_MAX_ATTRIBUTE_BYTES, 64 << 20);
    tells("crate::CachePolicy::max_attribute_bytes", "64 MiB");
    let layer = "crate::OwnershipLayerBuilder";
    assert_eq!(OwnershipLayer::DEFAULT_LOOKUP_TIMEOUT.as_secs(), 2);
    tells(&format!("{layer}::lookup_timeout"), "2 s");
    assert_eq!(OwnershipLayer::DEFAULT_CACHE_CAPACITY, 100_000);
    tells(&format!("{layer}::cache_capacity"), "100,000 sessions");
    assert_eq!(OwnershipLayer::DEFAULT_MAX_HOPS, 2);
    tells(&format!("{layer}::max_hops"), "2");
    assert_eq!(OwnershipLayer::DEFAULT_REFUSED_BODY_LIMIT, 16 << 20);
    tells(&format!("{layer}::refused_body_limit"), "16 MiB");
    assert_eq!(OwnershipLayer::DEFAULT_REFUSED_BODY_TIMEOUT.as_secs(), 10);
    tells(
        &format!("{layer}::refused_body_timeout"),
        "10 s; or a pause of 1 s",
    );
    assert_eq!(OwnershipLayer::DEFAULT_WARN_INTERVAL.as_secs(), 10);
    tells(&format!("{layer}::warn_interval"), "10 s");
    let health = "crate::health::HealthBuilder";
    assert_eq!(HealthBuilder::DEFAULT_MAX_AGE.as_secs(), 10);
    tells(&format!("{health}::max_age"), "10 s");
    assert_eq!(HealthBuilder::DEFAULT_TIMEOUT.as_millis(), 800);
    tells(&format!("{health}::timeout"), "0.8 s");
    assert_eq!(FlyReplay::DEFAULT_TIMEOUT.as_secs(), 5);
    tells("crate::FlyReplay::timeout", "5 s");
    assert_eq!(FlyReplay::DEFAULT_BODY_LIMIT, 1_000_000);
    tells("crate::FlyReplay::body_limit", "1,000,000 bytes");
}

#[cfg(feature = "forward")]
#[test]
fn defaults_of_forwarding_are_those_of_the_code() {
    use tower_ownership::forward::Forward;

    let forward = "crate::forward::Forward";
    assert_eq!(Forward::DEFAULT_CONNECT_TIMEOUT.as_secs(), 2);
    tells(&format!("{forward}::connect_timeout"), "2 s");
    assert_eq!(Forward::DEFAULT_RESPONSE_TIMEOUT.as_secs(), 60);
    tells(&format!("{forward}::response_timeout"), "60 s");
    assert_eq!(Forward::DEFAULT_IDLE_TIMEOUT.as_secs(), 20);
    tells(&format!("{forward}::idle_timeout"), "20 s");
    assert_eq!(Forward::DEFAULT_MAX_IDLE, 256);
    tells(&format!("{forward}::max_idle"), "256");
    assert_eq!(Forward::DEFAULT_MAX_REQUESTS, 2_048);
    tells(&format!("{forward}::max_requests"), "2,048");
}

#[cfg(feature = "postgres")]
#[test]
fn defaults_of_postgresql_are_those_of_the_code() {
    use tower_ownership::{PostgresLookup, ownership::Feed};

    let builder = PostgresLookup::builder("postgres://app@db.internal/app").ownership();
    let lookup = format!("{builder:?}");
    let built = builder.build().unwrap();
    let presence = format!("{:?}", built.directory().unwrap().heartbeat());
    let feed = built.change_feed();
    let feed = format!(
        "{feed:?} {:?}",
        Feed::builder(feed.clone().build().unwrap())
    );
    for (setting, told, debug, is) in [
        (
            "PostgresLookupBuilder::timeout",
            "1.8 s",
            &lookup,
            "overall: 1.8s",
        ),
        (
            "PostgresLookupBuilder::pool_timeout",
            "300 ms",
            &lookup,
            "pool: 300ms",
        ),
        (
            "PostgresLookupBuilder::connect_timeout",
            "700 ms",
            &lookup,
            "connect: 700ms",
        ),
        (
            "PostgresLookupBuilder::query_timeout",
            "800 ms",
            &lookup,
            "query: 800ms",
        ),
        (
            "PostgresLookupBuilder::max_batches",
            "2",
            &lookup,
            "max_batches: 2,",
        ),
        (
            "PostgresLookupBuilder::lost_after",
            "15 s",
            &lookup,
            "lost_after: 15s",
        ),
        (
            "HeartbeatBuilder::interval",
            "3 s",
            &presence,
            "interval: 3s",
        ),
        ("HeartbeatBuilder::timeout", "1 s", &presence, "timeout: 1s"),
        ("FeedBuilder::heartbeat", "5 s", &feed, "heartbeat: 5s"),
        (
            "FeedBuilder::heartbeat_deadline",
            "2 s",
            &feed,
            "heartbeat_deadline: 2s",
        ),
    ] {
        assert!(debug.contains(is), "{setting}: no {is} in {debug}");
        tells(&format!("crate::{setting}"), told);
    }
}

/// The page of defaults says it of this setting, in the second column.
fn tells(setting: &str, default: &str) {
    let target = format!("({setting})");
    let row = DEFAULTS
        .lines()
        .find(|line| line.starts_with("| ") && line.contains(&target));
    let row = row.unwrap_or_else(|| panic!("no row for {setting}"));
    assert_eq!(row.split(" | ").nth(1), Some(default), "{setting}");
}

#[test]
fn every_test_that_is_cited_is_there() {
    let mut sources = String::new();
    for folder in ["src", "tests"] {
        read_all(&root().join(folder), &mut sources);
    }
    let mut cited = 0;
    for (page, text) in PAGES {
        for name in quoted(text).filter(|quoted| is_test_name(quoted)) {
            cited += 1;
            assert!(sources.contains(&format!("fn {name}(")), "{page}: {name}");
        }
    }
    assert!(cited >= 5, "{cited}");
}

#[test]
fn every_file_that_is_cited_is_there() {
    let folders = ["src/", "tests/", "benches/", "examples/"];
    for (page, text) in PAGES {
        for path in quoted(text).filter(|quoted| folders.iter().any(|f| quoted.starts_with(f))) {
            let is_there = root().join(path).exists();
            let is_to_come = TO_COME.contains(&path);
            assert!(is_there || is_to_come, "{page}: {path}");
            assert!(
                !is_there || !is_to_come,
                "{path} has come: say so in this test"
            );
        }
    }
}

#[cfg(feature = "metrics")]
#[test]
fn every_metric_that_is_cited_is_counted() {
    let mut cited = 0;
    for (page, text) in PAGES {
        for name in quoted(text).filter_map(|quoted| quoted.split(['{', ' ']).next()) {
            if name.starts_with("tower_ownership_") && name.ends_with("_total") {
                cited += 1;
                let is_counted = tower_ownership::metrics::NAMES.contains(&name);
                assert!(is_counted, "{page}: {name}");
            }
        }
    }
    assert!(cited >= 4, "{cited}");
}

#[test]
fn every_page_is_in_the_contents_and_in_the_crate() {
    let module = include_str!("../../src/manual.rs");
    let crate_docs = include_str!("../../src/lib.rs");
    for (page, _) in PAGES {
        assert!(module.contains(&format!("pub mod {page} {{}}")), "{page}");
        assert!(module.contains(&format!("//! | [`{page}`] | ")), "{page}");
        assert!(crate_docs.contains(&format!("(manual::{page})")), "{page}");
    }
    let files = fs::read_dir(root().join("src/manual")).unwrap();
    let files = files.filter(|file| file.as_ref().unwrap().path().is_file());
    assert_eq!(files.count(), PAGES.len());
}

/// What stands between two backticks in the text's prose.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    let mut in_code = false;
    text.lines()
        .filter(move |line| {
            let is_fence = line.trim_start().starts_with("```");
            in_code ^= is_fence;
            !in_code && !is_fence
        })
        .flat_map(|line| line.split('`').skip(1).step_by(2))
}

/// Tests are sentences, and nothing else here has so many words.
fn is_test_name(text: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    text.bytes().all(word) && text.matches('_').count() >= 5
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read_all(folder: &Path, into: &mut String) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read_all(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push_str(&fs::read_to_string(path).unwrap());
        }
    }
}
