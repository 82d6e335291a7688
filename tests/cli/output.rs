//! How the command says what it says.

use tower_ownership::explain::Finding;
use tower_ownership::postgres::Audit;

use crate::command::run;
use crate::scene::{OWNER, Scene};

const ESCAPE: char = '\u{1b}';

#[tokio::test]
async fn colours_go_where_they_are_wanted_and_nowhere_else() {
    let scene = Scene::plain().await;
    let (session, url) = (scene.owned().await.to_string(), scene.database.url());
    let with = async |color: &[&str], variables: &[(&str, &str)]| {
        let mut arguments = vec!["doctor", &session, "--database", &url];
        arguments.extend(color);
        run(&arguments, variables).await.out
    };
    let plain = with(&[], &[]).await;
    assert!(!plain.contains(ESCAPE), "there is no terminal: {plain}");
    assert!(plain.contains(&format!("owner      {OWNER}\n")), "{plain}");
    let coloured = with(&["--color=always"], &[]).await;
    assert!(coloured.contains(ESCAPE), "{coloured}");
    let forced = with(&[], &[("CLICOLOR_FORCE", "1")]).await;
    assert!(forced.contains(ESCAPE), "{forced}");
    let none = with(&[], &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]).await;
    assert!(!none.contains(ESCAPE), "NO_COLOR goes before: {none}");
    let never = with(&["--color=never"], &[("CLICOLOR_FORCE", "1")]).await;
    assert!(!never.contains(ESCAPE), "{never}");
}

#[tokio::test]
async fn what_a_row_holds_cannot_talk_to_the_terminal() {
    let scene = Scene::plain().await;
    let owner = "\u{1b}]0;owned\u{7}".to_owned();
    let session = scene
        .session(|session| session.container_id = Some(owner))
        .await;
    let (session, url) = (session.to_string(), scene.database.url());
    for command in [
        &["doctor", session.as_str(), "--database", &url][..],
        &["sessions", "--database", &url],
    ] {
        let mut arguments = command.to_vec();
        arguments.push("--color=always");
        let said = run(&arguments, &[]).await;
        assert!(said.out.contains("owned"), "{said:?}");
        assert!(
            !said.out.contains("\u{1b}]0;") && !said.out.contains('\u{7}'),
            "{said:?}"
        );
    }
}

#[tokio::test]
async fn the_doctor_says_the_verdict_first_and_leaves_out_what_cannot_be_tested() {
    let scene = Scene::migrated().await;
    for id in [crate::scene::LANDED, OWNER] {
        if id == OWNER {
            scene.beat(id, 0.0, "").await;
        }
        scene.machine(id, scene.living_lookup()).await;
    }
    let (session, url) = (scene.owned().await.to_string(), scene.database.url());
    let edge = scene.edge.url("");
    let arguments = ["doctor", &session, "--url", &edge, "--database", &url];
    let said = run(&arguments, &[]).await;
    assert_eq!(said.status, 0, "{said:?}");
    let lines: Vec<_> = said.out.lines().collect();
    assert!(
        lines[2].starts_with("Diagnosis: Nothing is wrong"),
        "{}",
        said.out
    );
    assert!(lines[3].starts_with("Next: "), "{}", said.out);
    assert!(!said.out.contains("not testable from here"), "{}", said.out);
    assert!(lines.len() <= 20, "{} lines: {}", lines.len(), said.out);
    assert!(
        lines.last().unwrap().starts_with("-v also shows "),
        "{}",
        said.out
    );
    let all = run(&[&arguments[..], &["-v"]].concat(), &[]).await;
    assert!(all.out.contains("not testable from here"), "{}", all.out);
    assert!(all.out.lines().count() > lines.len() + 5, "{}", all.out);
}

const HELPS: [[&str; 2]; 12] = [
    ["doctor", "--help"],
    ["audit", "--help"],
    ["sessions", "--help"],
    ["machines", "--help"],
    ["migrate", "--help"],
    ["edge", "--help"],
    ["gone", "--help"],
    ["readmit", "--help"],
    ["assign", "--help"],
    ["release", "--help"],
    ["end", "--help"],
    ["reap", "--help"],
];

/// In the list of commands there is room for one line.
#[tokio::test]
async fn the_help_of_each_command_says_what_its_json_holds() {
    let list = run(&["--help"], &[]).await;
    for arguments in HELPS {
        let help = run(&arguments, &[]).await;
        assert!(help.out.contains("\nWith --json"), "{}", help.out);
        let short = run(&[arguments[0], "-h"], &[]).await;
        assert!(!short.out.contains("\nWith --json"), "{}", short.out);
        let line = short.out.lines().next().unwrap();
        assert!(list.out.contains(line), "{line}: {}", list.out);
    }
}

#[tokio::test]
async fn commands_of_a_next_step_can_be_copied() {
    let scene = Scene::migrated().await;
    scene.beat(OWNER, 200.0, "").await;
    let (session, url) = (scene.owned().await.to_string(), scene.database.url());
    let said = run(&["doctor", &session, "--database", &url], &[]).await;
    let command = format!("`ownership assign --owner {OWNER} --to MACHINE`");
    assert!(said.out.contains(&command), "{}", said.out);
    let sql = "UPDATE preview_sessions SET container_id = NULL";
    scene.database.execute(sql).await;
    let said = run(&["doctor", &session, "--database", &url], &[]).await;
    let command = format!("`ownership assign {session} --to MACHINE`");
    assert!(said.out.contains(&command), "{}", said.out);
    // What a shell could read as a command of its own is not put into one.
    let sql = "UPDATE preview_sessions SET container_id = '$(reboot)'";
    scene.database.execute(sql).await;
    let said = run(&["doctor", &session, "--database", &url], &[]).await;
    assert!(!said.out.contains("--owner $("), "{}", said.out);
}

/// An option that a command does not have would be the end of a chain of commands.
#[tokio::test]
async fn each_finding_of_an_audit_names_a_command_that_is_there() {
    let others = [Finding::DuplicateIdentity, Finding::StatusUnknown];
    for finding in Audit::FINDINGS.iter().chain(&others) {
        let step = finding.next_step();
        let mut named = 0;
        for quoted in step
            .split('`')
            .filter_map(|part| part.strip_prefix("ownership "))
        {
            named += 1;
            let words: Vec<_> = quoted.split(' ').collect();
            let help = run(&[words[0], "--help"], &[]).await;
            assert_eq!(help.status, 0, "{finding}: {quoted}");
            let known: Vec<_> = help.out.split_whitespace().collect();
            for option in words.iter().filter(|word| word.starts_with("--")) {
                assert!(known.contains(option), "{finding}: {quoted}");
            }
        }
        assert!(named > 0, "{finding}: {step}");
    }
}

/// Whoever is woken by an alert types what it says.
#[tokio::test]
async fn manual_and_alerts_name_commands_and_options_that_are_there() {
    for (text, least) in [
        (include_str!("../../src/manual/operations.md"), 10),
        (
            include_str!("../../examples/monitoring/ownership.rules.yml"),
            8,
        ),
    ] {
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let quoted = text.split('`').filter_map(|part| {
            let rest = part.trim_start_matches("sh ").strip_prefix("ownership ")?;
            Some(rest.split(' ').collect::<Vec<_>>())
        });
        let mut named = 0;
        for words in quoted {
            named += 1;
            let help = run(&[words[0], "--help"], &[]).await;
            assert_eq!(help.status, 0, "{words:?}");
            let known: Vec<_> = help.out.split_whitespace().collect();
            for option in words.iter().filter(|word| word.starts_with("--")) {
                assert!(known.contains(option), "{words:?}");
            }
        }
        assert!(named >= least, "{named}");
    }
}

#[tokio::test]
async fn the_statuses_are_in_the_help_and_hold() {
    for arguments in [&["--help"][..]]
        .into_iter()
        .chain(HELPS.iter().map(|help| &help[..]))
    {
        let help = run(arguments, &[]).await;
        assert_eq!(help.status, 0);
        for line in [
            "  0  nothing is wrong, or it was done",
            "  1  something is wrong or was not done, and was said",
            "  2  the command was used wrongly",
            "  3  it could not be found out or done: the database could not be asked",
        ] {
            assert!(help.out.contains(line), "{}", help.out);
        }
    }
    let session = "807efe44-d63e-4a24-88f5-dbe96112830a";
    let nowhere = "postgres://nobody@127.0.0.1:1/nowhere";
    for (status, arguments) in [
        (2, &["doctor"][..]),
        (2, &["doctor", session]),
        (2, &["frobnicate"]),
        (2, &["doctor", session, "--database", "nonsense"]),
        (
            2,
            &[
                "doctor",
                session,
                "--database",
                nowhere,
                "--url",
                "app.example.com",
            ],
        ),
        (
            2,
            &["doctor", session, "--database", nowhere, "--table", ""],
        ),
        (
            2,
            &[
                "sessions",
                "--database",
                nowhere,
                "--unassigned",
                "--owner",
                "m1",
            ],
        ),
        (3, &["doctor", session, "--database", nowhere]),
        (3, &["audit", "--database", nowhere]),
        (3, &["sessions", "--database", nowhere]),
        (3, &["machines", "--database", nowhere]),
        (3, &["migrate", "--run", "--database", nowhere]),
    ] {
        let said = run(arguments, &[]).await;
        assert_eq!(said.status, status, "{arguments:?}: {said:?}");
    }
}

#[tokio::test]
async fn an_error_is_json_too_where_json_was_asked_for() {
    let nowhere = "postgres://nobody@127.0.0.1:1/nowhere";
    for command in ["audit", "sessions", "machines"] {
        let said = run(&[command, "--json", "--database", nowhere], &[]).await;
        let error = said.json()["error"].as_str().unwrap().to_owned();
        assert!(error.contains("cannot be asked"), "{error}");
        assert!(said.err.contains(&error), "{said:?}");
    }
}

#[tokio::test]
async fn no_secret_is_in_the_help() {
    let secrets = [
        ("DATABASE_URL", "postgres://app:hunter2@db.internal/app"),
        ("FLY_API_TOKEN", "fo1_hunter2"),
    ];
    let help = run(&["doctor", "--help"], &secrets).await;
    assert!(help.out.contains("DATABASE_URL") && help.out.contains("FLY_API_TOKEN"));
    assert!(!help.out.contains("hunter2"), "{}", help.out);
}
