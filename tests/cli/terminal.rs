//! What somebody at a terminal sees, which scripts do not.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;

use nix::pty::{Winsize, openpty};

use crate::command::ownership;
use crate::scene::{OWNER, Scene};
use crate::support::incident::PreviewSession;
use crate::support::postgres::Cluster;

/// Runs the command at a terminal of this width, and returns all that the terminal got.
pub async fn at_a_terminal(width: u16, arguments: &[&str], variables: &[(&str, &str)]) -> String {
    let (screen, _) = attended(width, "", arguments, variables).await;
    screen
}

/// The same without colours, where this is typed. Also returns the exit status.
pub async fn answering_at_a_terminal(width: u16, typed: &str, arguments: &[&str]) -> (String, i32) {
    attended(width, typed, arguments, &[("NO_COLOR", "1")]).await
}

async fn attended(
    width: u16,
    typed: &str,
    arguments: &[&str],
    variables: &[(&str, &str)],
) -> (String, i32) {
    let size = Winsize {
        ws_row: 40,
        ws_col: width,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    let terminal = openpty(Some(&size), None).unwrap();
    let its_side = || -> OwnedFd { terminal.slave.try_clone().unwrap() };
    let mut command = ownership(arguments, variables);
    command
        .env("TERM", "xterm-256color")
        .stdin(its_side())
        .stdout(its_side())
        .stderr(its_side());
    File::from(terminal.master.try_clone().unwrap())
        .write_all(typed.as_bytes())
        .unwrap();
    let reading = tokio::task::spawn_blocking(move || {
        let mut screen = Vec::new();
        // Once nobody has the other side, reading fails with EIO.
        let _ = File::from(terminal.master).read_to_end(&mut screen);
        String::from_utf8(screen).unwrap()
    });
    let mut process = command.spawn().unwrap();
    // Ours, and the copies that the command holds.
    drop((terminal.slave, command));
    let status = process.wait().await.unwrap().code().unwrap();
    (reading.await.unwrap(), status)
}

#[tokio::test]
async fn a_terminal_gets_colours_unless_no_color_says_no() {
    let scene = Scene::plain().await;
    let (session, url) = (scene.owned().await.to_string(), scene.database.url());
    let arguments = ["doctor", &session, "--database", &url];
    let screen = at_a_terminal(120, &arguments, &[]).await;
    assert!(screen.contains("\u{1b}["), "{screen:?}");
    let screen = at_a_terminal(120, &arguments, &[("NO_COLOR", "1")]).await;
    assert!(!screen.contains("\u{1b}["), "{screen:?}");
    assert!(screen.contains(OWNER), "{screen:?}");
}

#[tokio::test]
async fn a_table_is_as_wide_as_the_terminal_and_breaks_no_id() {
    let scene = Scene::plain().await;
    let (session, url) = (scene.owned().await.to_string(), scene.database.url());
    let no_color = [("NO_COLOR", "1")];
    let arguments = ["doctor", &session, "--database", &url];
    let screen = at_a_terminal(90, &arguments, &no_color).await;
    let table = screen.split("\r\n\r\n").nth(2).unwrap();
    assert!(
        table.lines().all(|line| line.chars().count() <= 90),
        "{table}"
    );
    assert!(table.lines().any(|line| line.contains(OWNER)), "{table}");
    let arguments = ["sessions", "--database", &url];
    for width in [0, 20, 90] {
        let screen = at_a_terminal(width, &arguments, &no_color).await;
        assert!(screen.contains(&session), "{width}: {screen}");
    }
}

/// With the ids of Fly's machines, and with those of Kubernetes' pods, which are as long as a session's.
#[tokio::test]
async fn lists_fit_eighty_columns_and_break_no_id() {
    const POD: &str = "56a0b2fe-bed8-4466-ba13-983ffffba7a5";
    const MORE: &str = ", app = 'previews-production', region = 'iad', version = '2026.11.27-1'";
    let scene = Scene::migrated().await;
    scene.beat(OWNER, 200.0, MORE).await;
    scene.beat(POD, 200.0, MORE).await;
    let mut ids = vec![OWNER.to_owned(), POD.to_owned()];
    for owner in [OWNER, POD] {
        let session = scene
            .session(|s| s.container_id = Some(owner.to_owned()))
            .await;
        ids.push(session.to_string());
    }
    let url = scene.database.url();
    for (command, ids) in [
        ("sessions", &ids[..]),
        ("audit", &ids),
        ("machines", &ids[..2]),
    ] {
        let arguments = [command, "--database", &url];
        let screen = at_a_terminal(80, &arguments, &[("NO_COLOR", "1")]).await;
        for line in screen.lines() {
            assert!(line.chars().count() <= 80, "{line}\n{screen}");
        }
        for id in ids {
            assert!(screen.contains(id), "no {id} in {screen}");
        }
    }
    scene
        .database
        .execute("DELETE FROM ownership_machines WHERE length(machine_id) > 14")
        .await;
    scene
        .database
        .execute("DELETE FROM preview_sessions WHERE length(container_id) > 14")
        .await;
    // Whole rows, where Fly's ids leave room for them.
    for (command, header) in [
        ("sessions", "session owner presence status"),
        ("machines", "machine presence seen started region version"),
    ] {
        let arguments = [command, "--database", &url];
        let screen = at_a_terminal(80, &arguments, &[("NO_COLOR", "1")]).await;
        let words: Vec<_> = screen.lines().next().unwrap().split_whitespace().collect();
        assert!(words.join(" ").starts_with(header), "{screen}");
    }
}

#[tokio::test]
async fn helps_are_broken_into_lines_between_words() {
    for command in [
        "doctor", "audit", "sessions", "machines", "gone", "assign", "reap", "migrate", "edge",
    ] {
        for help in ["-h", "--help"] {
            let screen = at_a_terminal(80, &[command, help], &[("NO_COLOR", "1")]).await;
            for line in screen.lines() {
                assert!(line.chars().count() <= 80, "{command}: {line}");
            }
        }
    }
}

#[tokio::test]
async fn what_takes_longer_than_a_second_says_what_it_waits_for() {
    let cluster = tokio::task::spawn_blocking(Cluster::private).await.unwrap();
    let database = cluster.database().await;
    database.incident_table().await;
    let session = database
        .insert(&PreviewSession::owned_by("m"))
        .await
        .to_string();
    let url = database.url();
    let arguments = ["doctor", &session, "--database", &url];
    let screen = at_a_terminal(100, &arguments, &[]).await;
    assert!(!screen.contains("Looking at the session"), "{screen:?}");
    cluster.freeze();
    let arguments = [&arguments[..], &["--database-timeout=3s"]].concat();
    let screen = at_a_terminal(100, &arguments, &[]).await;
    cluster.thaw();
    assert!(screen.contains("Looking at the session"), "{screen:?}");
    assert!(screen.contains("does not answer in time"), "{screen:?}");
}
