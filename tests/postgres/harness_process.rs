//! The harness at the end of a test process: nothing stays behind, and nothing goes unsaid.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::support::left_out::REQUIRE_ALL;
use crate::support::postgres::Cluster;
use crate::support::supervisor::has_ended;
use crate::support::{left_out, until};

/// Tells this binary, started again by itself, what to do.
const CHILD: &str = "TOWER_OWNERSHIP_HARNESS_CHILD";

#[test]
fn a_killed_test_process_leaves_nothing() {
    let mut child = this_binary("cluster")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut told = || {
        lines
            .by_ref()
            .map(Result::unwrap)
            .find_map(|line| line.strip_prefix("HELD ").map(ToOwned::to_owned))
            .expect("a directory and a process id, from the child")
    };
    let held: Vec<(PathBuf, u32)> = (0..2)
        .map(|_| {
            let told = told();
            let (dir, pid) = told.split_once(' ').unwrap();
            (dir.into(), pid.parse().unwrap())
        })
        .collect();
    for (dir, pid) in &held {
        assert!(dir.exists() && !has_ended(*pid));
    }

    child.kill().unwrap();
    child.wait().unwrap();

    for (dir, pid) in held {
        until("the server has ended", || has_ended(pid));
        until("its directory is gone", || !dir.exists());
    }
}

#[test]
fn what_is_left_out_is_said_and_can_be_forbidden() {
    let output = this_binary("left_out").env_remove(REQUIRE_ALL).output();
    let output = output.unwrap();
    assert!(output.status.success());
    // Although the test passed, and libtest hides what passing tests print.
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("LEFT OUT: a thing: no reason"), "{said}");

    let output = this_binary("left_out").env(REQUIRE_ALL, "1").output();
    let output = output.unwrap();
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("a thing cannot be left out"), "{said}");
}

/// Not a test of its own: what [`this_binary`] runs.
#[test]
fn the_child() {
    match std::env::var(CHILD).as_deref() {
        Ok("cluster") => {
            // One that works, and one that cannot even take a signal.
            let (running, frozen) = (Cluster::private(), Cluster::private());
            frozen.freeze();
            for cluster in [&running, &frozen] {
                let pid = cluster.dir().join("data/postmaster.pid");
                let pid = std::fs::read_to_string(pid).unwrap();
                let pid = pid.lines().next().unwrap();
                // Not by `println!`, which libtest holds back until the test's end.
                let mut stdout = std::io::stdout();
                writeln!(stdout, "\nHELD {} {pid}", cluster.dir().display()).unwrap();
            }
            std::thread::sleep(Duration::from_secs(600));
        }
        Ok("left_out") => {
            left_out("a thing", "no reason");
            // Our parent is a test, which has no end of the run to say it at.
            assert_eq!(left_out::take(), ["a thing: no reason"]);
        }
        _ => {}
    }
}

/// This test binary, to run only [`the_child`], in the part `role`.
fn this_binary(role: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "harness_process::the_child"]);
    command.env(CHILD, role);
    command
}
