//! Every fault that was injected, with what each signal says of it first, and the test that asserts it against
//! real processes or a real database. No signal may say another cause first.

use std::fs;
use std::path::Path;

/// What a signal says.
enum Signal {
    /// These words, in the code of this test: its file below `tests`, and its name.
    Says(&'static str, &'static str),
    /// Nothing, because of this.
    Nothing(&'static str),
}
use Signal::{Nothing, Says};

struct Row {
    fault: &'static str,
    log: Signal,
    metric: Signal,
    /// `ownership doctor`, or another command.
    command: Signal,
    /// What the command must not say first.
    not_first: &'static [&'static str],
}

const FAULTS: &str = "cli/truth/faults::each_fault_is_named_first_and_found_by_the_audit";
const RUNNING: &str = "cli/truth/faults::each_fault_shows_in_log_and_metrics_of_a_running_machine";
const DOWN: &str = "cli/truth/database::a_database_that_is_down";
const LOCKED: &str = "cli/truth/database::a_table_that_is_locked";
const BEATS_DENIED: &str = "cli/truth/denied::heartbeats_that_may_not_be_written";
const READS_DENIED: &str = "cli/truth/denied::sessions_that_may_not_be_read";
const TWO_DATABASES: &str = "cli/truth/way::machines_that_read_two_databases";
const TRIGGERS: &str = "postgres/directory/counted::missing_triggers_are_logged_and_counted";
const WITHHELD: &str = "postgres/directory/counted::beats_that_are_withheld_are_logged_and_counted";
const NOTIFY: &str = "postgres/watch/counted::a_missing_notify_trigger_is_logged_and_counted";

const BEATS_FAIL: Signal = Says(r#"heartbeats_total{outcome=\"failed\"}"#, BEATS_DENIED);
const READS_FAIL: Signal = Says(
    r#"lookup_duration_seconds_count{outcome=\"unavailable\"}"#,
    READS_DENIED,
);
const REFUSED: Signal = Says("reject/{code}/miss +1", RUNNING);
const FOUND: Signal = Says("tower_ownership_audit_findings", RUNNING);

/// What one test says in all three.
macro_rules! of_one_test {
    ($test:literal, $log:literal, $metric:literal, $command:literal) => {
        (
            Says($log, $test),
            Says($metric, $test),
            Says($command, $test),
        )
    };
}

macro_rules! rows {
    ($($fault:literal: $signals:expr, not first $not_first:expr;)*) => {
        &[$({
            let (log, metric, command) = $signals;
            Row { fault: $fault, log, metric, command, not_first: &$not_first }
        }),*]
    };
}

const ROWS: &[Row] = rows! {
    // The database.
    "it is down":
        (
            Says("Connection refused", DOWN),
            Says(r#"lookup_duration_seconds_count{outcome=\"unavailable\"}"#, DOWN),
            Says("directory-down", DOWN),
        ), not first ["owner-lost", "directory-slow"];
    "it is down for longer than makes a machine lost, and no session is taken over":
        (
            Says("beats arrive again", "postgres/directory/log::an_outage_is_told_once_and_its_end_too"),
            Says("nothing_moved", "postgres/directory/silence::an_outage_of_the_database_moves_no_session"),
            Says("directory-down", "cli/database::a_database_that_is_down_leaves_all_else_unknown"),
        ), not first ["owner-lost"];
    "it does not answer":
        (
            Says("cause=", LOCKED),
            Says(r#"lookup_duration_seconds_count{outcome=\"timeout\"}"#, LOCKED),
            Says("directory-slow", "cli/database::a_database_that_does_not_answer_is_slow"),
        ), not first ["directory-down"];
    "a lock on the table of sessions":
        (
            Says("cause=", LOCKED),
            Says(r#"lookup_duration_seconds_count{outcome=\"timeout\"}"#, LOCKED),
            Says("database-locked", LOCKED),
        ), not first ["directory-slow", "directory-down"];
    "a lock on the table of machines":
        (
            Says("it took too long", BEATS_DENIED),
            BEATS_FAIL,
            Says("database-locked", "cli/refused::a_connection_that_locks_a_table_is_named"),
        ), not first ["owner-lost"];
    "a lock on a row of a session":
        (
            Nothing("requests are served; the machine that waits says so when it gives up"),
            Nothing("the same"),
            Says("holds a row that machines wait for", "cli/refused::a_connection_that_holds_a_row_which_a_machine_waits_for_is_named"),
        ), not first ["fine"];
    "the owner may not write its heartbeats":
        (
            Says("permission denied for table ownership_machines", BEATS_DENIED),
            BEATS_FAIL,
            Says("database-denied", "cli/refused::heartbeats_that_may_not_be_written_are_the_cause_of_a_lost_owner"),
        ), not first ["fine", "owner-lost"];
    "a machine may not read":
        (
            Says("permission denied for table preview_sessions", READS_DENIED),
            READS_FAIL,
            Says("database-denied", "cli/refused::a_user_that_may_not_read_is_denied_and_the_grant_is_named"),
        ), not first ["directory-down"];
    "it takes no more connections":
        (
            Says("too many connections for role", READS_DENIED),
            READS_FAIL,
            Says("database-full", "cli/refused::a_server_that_takes_no_more_connections_is_full"),
        ), not first ["directory-down"];
    "it refuses the login":
        (
            Says("is not permitted to log in", READS_DENIED),
            READS_FAIL,
            Says("database-login", "cli/refused::a_login_that_is_refused_is_no_database_that_is_down"),
        ), not first ["directory-down"];
    "a failover has left the fleet on a replica":
        (
            Says("target_session_attrs=read-write", "postgres/directory/standby::a_machine_that_starts_on_a_standby_logs_why_it_cannot_once"),
            Says("replica", "postgres/directory/audit::a_full_queue_and_a_replica_are_found"),
            Says("replica", "cli/refused::a_replica_is_told_from_a_database_that_is_down"),
        ), not first ["owner-lost", "directory-down"];
    "a pooler in transaction mode":
        (
            Says("direct URL", "postgres/watch/pooler::a_watch_through_it_is_refused_loudly"),
            Says("feed_listening", "postgres/watch/counted::a_watch_tells_whether_it_listens_and_what_it_heard"),
            Says("shares its connections", "cli/refused::a_pooler_in_transaction_mode_is_named"),
        ), not first ["directory-down"];
    "a URL of another kind of server":
        (
            Nothing("no process starts: it is a setting that cannot be read"),
            Nothing("the same"),
            Says("mysql://", "cli/database::a_url_of_another_kind_of_server_is_named"),
        ), not first ["directory-down"];
    "a machine reads another database":
        (
            Says("do all machines read one directory?", TWO_DATABASES),
            Says("reject/session-unknown/miss +1", TWO_DATABASES),
            Says("directory-differs", TWO_DATABASES),
        ), not first ["session-unknown", "owner-lost"];

    // The table.
    "the table is missing":
        of_one_test!("cli/truth/table::a_missing_table",
            "not ready: the session directory", "lookup_duration_seconds_count", "table-missing"),
        not first ["directory-down"];
    "a column is missing":
        of_one_test!("cli/truth/table::a_missing_column",
            "not ready: the session directory", "lookup_duration_seconds_count", "column-missing"),
        not first ["directory-down"];
    "a column is of another type":
        of_one_test!("cli/truth/table::a_column_of_the_wrong_type",
            "the columns are not of the types", "lookup_duration_seconds_count", "column-type"),
        not first ["row-unusable", "directory-differs"];
    "a column becomes of another type while machines run":
        (Says("the columns are not of the types", RUNNING), REFUSED, Says("column-type", FAULTS)),
        not first ["row-unusable", "directory-differs", "directory-down"];
    "the column of epochs was dropped":
        (Says("owner_epoch", RUNNING), REFUSED, Says("migration-partly", FAULTS)),
        not first ["directory-down-there", "fine"];
    "the table of machines was dropped":
        (Says("ownership_machines", RUNNING), REFUSED, Says("migration-partly", FAULTS)),
        not first ["directory-down-there", "owner-never-seen", "fine"];
    "triggers are disabled":
        (
            Says("ownership triggers are missing or disabled", TRIGGERS),
            Says("triggers_missing", TRIGGERS),
            Says("triggers are disabled", FAULTS),
        ), not first ["fine", "session-moving"];
    "the table was exchanged for one without triggers":
        (
            Says("ownership triggers are missing or disabled", TRIGGERS),
            Says("CREATE TABLE copy", TRIGGERS),
            Says("the table was exchanged for one that has no triggers", FAULTS),
        ), not first ["fine"];
    "triggers are disabled, and the owner is lost":
        (
            Says(r#"owner_status=\"lost\""#, RUNNING),
            REFUSED,
            Says("triggers are disabled, and the owner is lost", FAULTS),
        ), not first ["owner-lost", "session-moving"];
    "an owner was changed while triggers were missing":
        (
            Says("ownership triggers were", RUNNING),
            REFUSED,
            Says("owner-without-epoch", FAULTS),
        ), not first ["directory-differs", "row-unusable", "fine"];
    "a notify trigger was dropped":
        (
            Says("the directory does not tell of every change", NOTIFY),
            Says("feed_complete", NOTIFY),
            Says("notify-triggers", FAULTS),
        ), not first ["fine"];
    "a table of the change log was dropped":
        (Says("notify-triggers", RUNNING), FOUND, Says("a table of the change log was dropped", FAULTS)),
        not first ["fine"];

    // The row.
    "a word in the status that the lookup does not know":
        (
            Says("status=", "postgres/lookup/place::the_log_names_a_status_that_counts_as_over_once"),
            REFUSED,
            Says("session-over", FAULTS),
        ), not first ["directory-differs", "fine"];
    "the owner's id has a blank at its end":
        (Says("cannot be a machine id", RUNNING), REFUSED, Says("owner-unusable", FAULTS)),
        not first ["owner-never-seen", "fine"];
    "the orchestrator writes hosts' names":
        (Says(r#"owner=\"preview-web-0\""#, RUNNING), REFUSED, Says("wrong-identity", FAULTS)),
        not first ["owner-never-seen", "owner-gone"];
    "no such session":
        of_one_test!("cli/truth/session::an_unknown_session",
            "session-unknown", "reject/session-unknown/miss +1", "The directory knows no such session"),
        not first ["directory-differs"];
    "the session is over":
        of_one_test!("cli/truth/session::a_session_that_is_over",
            "session-over", "reject/session-over/miss +1", "The session is over"),
        not first ["session-unknown"];
    "the session never had an owner":
        of_one_test!("cli/truth/session::an_unassigned_session",
            "session-starting", "reject/session-starting/miss +1", "session-unassigned"),
        not first ["session-starting"];
    "a drain gave the session up, and no machine claims it":
        (Says("session-unassigned", RUNNING), REFUSED, Says("a drain gave the session up", FAULTS)),
        not first ["session-starting", "fine"];

    // The owner.
    "a machine does not know who it is":
        (
            Says("no machine id", "cli/truth/identity::a_missing_identity"),
            Nothing("no process runs that could count"),
            Nothing("no session is the worse for it yet"),
        ), not first [];
    "a machine has an id of another form than stored owners":
        of_one_test!("cli/truth/identity::an_identity_in_another_format_than_the_stored_owners",
            "no stored owner looks like this machine's id", "reject/owner-never-seen/miss +1", "wrong-identity"),
        not first ["owner-never-seen", "owner-gone"];
    "it is stopped":
        of_one_test!("cli/truth/owner::an_owner_that_is_stopped",
            "owner-lost", "reject/owner-lost/miss +1", " is lost: it was last seen "),
        not first ["owner-gone", "directory-slow"];
    "its heartbeats stop while it serves":
        (
            Says("heartbeats of the owner do not arrive", RUNNING),
            REFUSED,
            Says("heartbeats of the owner do not arrive", FAULTS),
        ), not first ["fine", "owner-gone"];
    "it was destroyed":
        of_one_test!("cli/truth/owner::an_owner_that_was_destroyed",
            "owner-lost", "reject/owner-lost/miss +1", " is lost: it has left "),
        not first ["owner-never-seen"];
    "it was destroyed a moment ago":
        of_one_test!("cli/truth/owner::an_owner_that_was_destroyed_a_moment_ago",
            r#"replay_failed=\"no_candidate\""#, "reject/owner-unreachable/", "owner-gone"),
        not first ["owner-lost"];
    "it never ran":
        of_one_test!("cli/truth/owner::an_owner_that_never_beat",
            r#"owner_status=\"never-seen\""#, "reject/owner-never-seen/miss +1", "so the container was not created"),
        not first ["owner-lost", "directory-slow"];
    "it was declared gone":
        of_one_test!("cli/truth/owner::an_owner_that_was_declared_gone",
            "an operator declared this machine gone", r#"node_state{state=\"removed\"}"#, "it was declared gone "),
        not first ["fine"];
    "it drains":
        of_one_test!("cli/truth/owner::an_owner_that_drains",
            "session-moving", "reject/session-moving/miss +1", "owner-draining"),
        not first ["session-moving", "owner-lost"];
    "its drain cannot write":
        (
            Says("the drain gave no session up", "postgres/directory/story::a_drain_that_cannot_write_says_so"),
            Nothing("the process ends, and with it what it counts; next, its sessions have a lost owner"),
            Says("is draining", "cli/owner::an_owner_that_gives_its_sessions_up_is_draining"),
        ), not first ["fine"];
    "two processes run under its id":
        of_one_test!("cli/truth/owner::two_processes_under_one_machine_id",
            "another process has begun under this machine's id", r#"node_state{state=\"fenced\"}"#, "duplicate-identity"),
        not first ["fine", "owner-lost"];
    "it beats and does not serve":
        (
            Says("this machine does not serve, so it does not beat", WITHHELD),
            Says(r#"heartbeats_total{outcome="withheld"}"#, WITHHELD),
            Says("is lost: it was last seen ", "cli/truth/owner::an_owner_that_is_stopped"),
        ), not first ["fine"];
    "another machine took its session over":
        (
            Says("this machine took the session over from its lost owner", "postgres/directory/story::claims_take_overs_moves_losses_and_releases_are_logged"),
            Says(r#"claims_total{kind="takeover",outcome="won"}"#, "http/counted::claims_count_by_whose_the_session_was_and_how_they_ended"),
            Nothing("the session is served: nothing is wrong with it"),
        ), not first [];

    // The way.
    "machines take each other for the owner":
        of_one_test!("cli/truth/way::a_loop_between_two_machines",
            "hops=", "reject/replay-loop/", "replay-loop"),
        not first ["owner-unreachable"];
    "the proxy does not act on replays":
        (
            Nothing("who writes an answer does not hear what becomes of it"),
            Says("replayed_requests_total", "cli/truth/way::a_proxy_that_does_not_honour_replays"),
            Says("replay-not-honoured", "cli/truth/way::a_proxy_that_does_not_honour_replays"),
        ), not first ["owner-unreachable", "fine"];
    "the owner does not listen":
        (
            Says("replay_failed", "http/observed::a_replay_that_failed_is_told_with_its_reason_and_who_had_asked_for_it"),
            Says("replayed_requests_total", "http/counted::what_a_proxy_brought_counts_by_how_it_came"),
            Says("owner-unreachable", "cli/way::an_owner_that_does_not_listen_is_unreachable"),
        ), not first ["owner-gone"];
    "the layer looks for sessions where none are":
        (
            Says("the first 100 requests", "http/observed::a_layer_that_finds_no_session_says_so_once_with_a_path_and_where_it_looks"),
            Nothing("requests that pass are counted with those that are for no session"),
            Says("layer", "cli/way::the_wrong_machine_without_the_layer_is_suspected_of_being_just_that"),
        ), not first ["fine"];
    "a second cause right after another":
        (
            Says("rejection_code", "http/observed::each_cause_is_a_warning_of_its_own"),
            Says("warnings_held_back_total", "http/counted::an_outage_counts_what_it_fails_and_what_it_does_not_say"),
            Nothing("commands look once"),
        ), not first [];
};

/// Whether the test is there, with these words in its file.
fn asserts(test: &str, words: &str) -> bool {
    let (file, name) = test.split_once("::").unwrap();
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let code = fs::read_to_string(tests.join(file).with_extension("rs")).unwrap_or_default();
    // Words may be broken over two lines there.
    let joined = |code: &str| {
        let code = code.replace(" \\\n", " ");
        code.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    code.contains(&format!("fn {name}(")) && joined(&code).contains(&joined(words))
}

#[test]
fn every_signal_of_every_fault_is_asserted_by_a_test_that_is_there() {
    assert!(ROWS.len() >= 37, "{}", ROWS.len());
    let mut wrong = Vec::new();
    for row in ROWS {
        for signal in [&row.log, &row.metric, &row.command] {
            match signal {
                Says(words, test) if asserts(test, words) => {}
                Says(words, test) => wrong.push(format!("{}: {words} in {test}", row.fault)),
                Nothing(why) => assert_ne!(*why, "", "{}", row.fault),
            }
        }
        if let Says(first, _) = row.command
            && row.not_first.contains(&first)
        {
            wrong.push(format!("{}: {first} comes first", row.fault));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
