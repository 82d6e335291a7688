//! The alerts and the dashboard speak of what is counted, and lead to where the manual says more.

use std::{fmt::Write as _, path::Path, process::Command};

use crate::support::{left_out, prometheus::Prometheus};
use serde_json::Value;
use tower_ownership::{
    NodeState, RejectionCode,
    metrics::{NAMES, buckets},
};

const RULES: &str = include_str!("../../examples/monitoring/ownership.rules.yml");
const TESTS: &str = include_str!("../../examples/monitoring/ownership.rules.test.yml");
const DASHBOARD: &str = include_str!("../../examples/monitoring/dashboard.json");

/// Where the manual's pages are once the crate is published.
const MANUAL: &str = "https://docs.rs/tower-ownership/latest/tower_ownership/manual/";

const PAGES: [(&str, &str); 2] = [
    ("rejections", include_str!("../../src/manual/rejections.md")),
    ("operations", include_str!("../../src/manual/operations.md")),
];

/// An alert's name, and all that is written of it.
fn alerts() -> Vec<(&'static str, &'static str)> {
    let alerts = RULES.split("- alert: ").skip(1);
    alerts.map(|text| text.split_once('\n').unwrap()).collect()
}

/// The value of a setting on a line of its own.
fn setting<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let begin = format!("{name}: ");
    text.lines()
        .find_map(|line| line.trim_start().strip_prefix(&begin))
}

/// Everything that looks like a metric of ours, as Prometheus calls it.
fn series(text: &str) -> impl Iterator<Item = &str> {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.split(move |c| !word(c))
        .filter(|name| name.starts_with("tower_ownership_"))
}

/// What the crate calls it: an exporter makes three series of a histogram.
fn metric(series: &str) -> &str {
    ["_bucket", "_sum", "_count"]
        .iter()
        .filter_map(|part| series.strip_suffix(part))
        .find(|base| buckets().any(|(name, _)| name == *base))
        .unwrap_or(series)
}

/// The values that a label is compared with.
fn values<'a>(text: &'a str, label: &str) -> Vec<&'a str> {
    let begin = format!("{label}=\"");
    text.match_indices(&begin)
        // Not `le` at the end of another label's name.
        .filter(|(at, _)| !text[..*at].ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_'))
        .map(|(at, _)| text[at + begin.len()..].split('"').next().unwrap())
        .collect()
}

/// The queries of all panels.
pub(crate) fn queries() -> Vec<String> {
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels
        .iter()
        .filter_map(|panel| panel["targets"].as_array());
    let queries = targets.flatten().map(|target| target["expr"].as_str());
    queries.map(|query| query.unwrap().to_owned()).collect()
}

#[test]
fn every_metric_in_rules_and_dashboard_is_counted() {
    for (file, text) in [
        ("rules", RULES),
        ("tests of rules", TESTS),
        ("dashboard", DASHBOARD),
    ] {
        assert!(series(text).count() > 20, "{file}");
        for name in series(text) {
            let bare = metric(name);
            assert!(NAMES.contains(&bare), "{file}: {name}");
        }
        // An exporter has no series of a histogram's own name.
        for (name, _) in buckets() {
            assert!(!text.contains(&format!("{name}{{")), "{file}: {name}");
        }
    }
}

#[test]
fn every_metric_is_on_the_dashboard() {
    let queries = queries().join("\n");
    for name in NAMES {
        let is_shown = series(&queries).any(|shown| metric(shown) == *name);
        assert!(is_shown, "{name}");
    }
}

#[test]
fn codes_and_standings_in_rules_are_those_of_the_crate() {
    let standings = [
        NodeState::Joining,
        NodeState::Serving,
        NodeState::Draining,
        NodeState::Fenced,
        NodeState::Removed,
    ]
    .map(NodeState::as_str);
    for text in [RULES, TESTS] {
        for code in values(text, "code")
            .into_iter()
            .filter(|code| !code.is_empty())
        {
            assert!(
                RejectionCode::ALL.iter().any(|one| one.as_str() == code),
                "{code}"
            );
        }
        for standing in values(text, "state") {
            assert!(standings.contains(&standing), "{standing}");
        }
    }
}

/// Those that the log says at WARN.
#[test]
fn every_code_that_somebody_has_to_mend_has_an_alert() {
    let (_, rejections) = PAGES[0];
    let alerted = values(RULES, "code");
    for code in RejectionCode::ALL {
        let begin = format!("\n# {}\n", code.as_str());
        let (_, section) = rejections.split_once(&begin).unwrap();
        let log = section.lines().find(|line| line.starts_with("| log | "));
        let is_warned_of = log.unwrap().starts_with("| log | WARN");
        let is_alerted = alerted.contains(&code.as_str());
        assert_eq!(is_alerted, is_warned_of, "{code:?}");
    }
}

/// A drain passes by itself.
#[test]
fn every_finding_of_the_audit_that_lasts_has_an_alert() {
    use tower_ownership::{explain::Finding, postgres::Audit};

    let findings = RULES
        .lines()
        .filter(|line| line.contains("tower_ownership_audit_findings{"));
    let alerted: Vec<&str> = findings.flat_map(|line| values(line, "kind")).collect();
    for kind in Audit::FINDINGS {
        let is_alerted = alerted.contains(&kind.as_str());
        assert_eq!(is_alerted, *kind != Finding::OwnerDraining, "{kind:?}");
    }
    let all_are_kinds = alerted
        .iter()
        .all(|kind| Audit::FINDINGS.iter().any(|one| one.as_str() == *kind));
    assert!(all_are_kinds, "{alerted:?}");
}

#[test]
fn every_alert_says_what_it_means_and_leads_to_a_section_that_is_there() {
    assert!(alerts().len() >= 15);
    for (alert, text) in alerts() {
        let severity = setting(text, "severity");
        assert!(matches!(severity, Some("critical" | "warning")), "{alert}");
        assert!(setting(text, "summary").is_some(), "{alert}");
        assert_eq!(setting(text, "description"), Some(">-"), "{alert}");
        let runbook = setting(text, "runbook_url").unwrap();
        let target = runbook.strip_prefix(MANUAL).unwrap();
        let (page, anchor) = target.split_once("/index.html#").unwrap();
        let (_, page) = PAGES.iter().find(|(name, _)| *name == page).unwrap();
        // As rustdoc makes them from headings.
        let mut anchors = page
            .lines()
            .filter_map(|line| line.strip_prefix("# "))
            .map(|heading| heading.to_lowercase().replace(' ', "-"));
        assert!(anchors.any(|one| one == anchor), "{alert}: {runbook}");
    }
}

#[test]
fn every_alert_is_tested() {
    for (alert, _) in alerts() {
        let fires = format!("alertname=\"{alert}\", alertstate=\"firing\"");
        assert!(TESTS.contains(&fires), "{alert}");
    }
    let silent = TESTS.matches("exp_samples: []").count();
    assert!(silent >= alerts().len(), "{silent}");
}

#[test]
fn rules_are_sound_and_fire_on_what_their_tests_say() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/monitoring");
    promtool(
        "the alerts' own tests",
        &["check", "rules", "--lint-fatal", "ownership.rules.yml"],
        &folder,
    );
    promtool(
        "the alerts' own tests",
        &["test", "rules", "ownership.rules.test.yml"],
        &folder,
    );
}

/// As rules, because that is what the tool reads; Grafana's variables become what they may hold.
#[test]
fn the_dashboards_queries_can_be_read() {
    let queries = queries();
    assert!(queries.len() > 20);
    let mut rules = "groups:\n  - name: dashboard\n    rules:\n".to_owned();
    for (number, query) in queries.iter().enumerate() {
        let query = query
            .replace("$__rate_interval", "5m")
            .replace("$__range", "1h")
            .replace("$job", ".*")
            .replace("$instance", ".*");
        assert!(!query.contains('$'), "{query}");
        let expr = Value::from(query);
        let _ = writeln!(
            rules,
            "      - record: query_{number}\n        expr: {expr}"
        );
    }
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("dashboard.yml"), rules).unwrap();
    promtool(
        "the dashboard's queries",
        &["check", "rules", "dashboard.yml"],
        folder.path(),
    );
}

#[test]
fn the_dashboard_opens_with_an_overview_and_the_alerts() {
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    assert_eq!(panels[0]["title"], "Overview");
    let second = panels[1..].iter().position(|panel| panel["type"] == "row");
    let overview = &panels[1..=second.unwrap()];
    let of = |kind: &str| {
        overview
            .iter()
            .filter(|panel| panel["type"] == kind)
            .count()
    };
    assert_eq!((of("stat"), of("alertlist")), (6, 1));
    for panel in overview.iter().filter(|panel| panel["type"] == "stat") {
        let steps = &panel["fieldConfig"]["defaults"]["thresholds"]["steps"];
        assert!(!steps.as_array().unwrap().is_empty(), "{panel}");
    }
    // A healthy fleet has none of these, which is no lack of data.
    for panel in panels {
        let targets = panel["targets"].as_array().into_iter().flatten();
        let mut queries = targets.filter_map(|target| target["expr"].as_str());
        if queries.any(|query| query.ends_with(" > 0")) {
            assert_eq!(
                panel["fieldConfig"]["defaults"]["noValue"], "none",
                "{panel}"
            );
        }
    }
    let mut rows = vec![[false; 24]; 200];
    for panel in panels {
        let at = |name: &str| usize::try_from(panel["gridPos"][name].as_u64().unwrap()).unwrap();
        for row in &mut rows[at("y")..at("y") + at("h")] {
            for place in &mut row[at("x")..at("x") + at("w")] {
                assert!(!*place, "two panels in one place: {panel}");
                *place = true;
            }
        }
    }
}

#[test]
fn the_dashboard_asks_the_data_source_that_is_chosen() {
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    let variables = dashboard["templating"]["list"].as_array().unwrap();
    assert_eq!(variables[0]["name"], "datasource");
    assert_eq!(variables[0]["query"], "prometheus");
    let panels = dashboard["panels"].as_array().unwrap();
    for panel in panels.iter().filter(|panel| panel["type"] != "row") {
        assert_eq!(panel["datasource"]["uid"], "${datasource}", "{panel}");
    }
}

/// Runs the tool in this folder. It has to agree, unless it is not installed.
fn promtool(what: &str, arguments: &[&str], folder: &Path) {
    let Some(program) = Prometheus::tool() else {
        return left_out(what, "Prometheus is not installed");
    };
    let mut command = Command::new(program);
    let said = command
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap();
    let text = [said.stdout, said.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    assert!(said.status.success(), "{arguments:?}:\n{text}");
}
