//! Listeners that outlive the signal to stop, of real processes.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use uuid::Uuid;

use crate::fleet::OWNER;
use crate::life::migrate;
use crate::support::client::SOON;
use crate::support::container::Container;
use crate::support::database::Database;

/// A request on a connection of its own; what the answer begins with.
fn answer(container: &Container, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(container.addr)?;
    stream.set_read_timeout(Some(SOON))?;
    let head = format!("GET {path} HTTP/1.1\r\nHost: app\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes())?;
    let mut begin = [0; 12];
    stream.read_exact(&mut begin)?;
    Ok(String::from_utf8_lossy(&begin).into_owned())
}

/// Stops it, and connects anew until the linger is nearly over; all are answered.
fn answers_until(container: Container, linger: Duration) {
    let path = format!("/session/{}", Uuid::new_v4());
    let (began, mut answered) = (Instant::now(), 0);
    container.ask_to_stop();
    while began.elapsed() + Duration::from_millis(200) < linger {
        let read = answer(&container, &path);
        let after = began.elapsed();
        let line = read.unwrap_or_else(|error| panic!("{error} after {after:?}"));
        assert!(line.starts_with("HTTP/1.1 "), "{line}");
        answered += 1;
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(answered > 20, "{answered}");
    assert_eq!(container.exit_status(), 0);
    assert!(began.elapsed() < linger + Duration::from_secs(5));
}

async fn database() -> Database {
    let database = Database::fresh().await;
    migrate(&database).await;
    database
}

#[tokio::test]
async fn a_container_answers_new_connections_for_as_long_as_it_lingers() {
    let database = database().await;
    for life in ["off", "on"] {
        let container = Container::start(&[
            ("MACHINE_ID", OWNER),
            ("DATABASE_URL", &database.url()),
            ("OWNERSHIP_LIFE", life),
            ("OWNERSHIP_LINGER_MS", "1500"),
        ]);
        answers_until(container, Duration::from_millis(1_500));
    }
}

#[tokio::test]
async fn a_node_answers_new_connections_for_five_seconds() {
    let database = database().await;
    let variables = [("MACHINE", OWNER), ("DATABASE_URL", &database.url())];
    let node = Container::start_example("node", &variables);
    answers_until(node, Duration::from_secs(5));
}

#[tokio::test]
async fn a_second_signal_ends_a_process_at_once() {
    let database = database().await;
    let url = database.url();
    let node = Container::start_example("node", &[("MACHINE", OWNER), ("DATABASE_URL", &url)]);
    let container = Container::start(&[
        ("MACHINE_ID", OWNER),
        ("DATABASE_URL", &url),
        ("OWNERSHIP_LINGER_MS", "60000"),
    ]);
    for process in [node, container] {
        process.ask_to_stop();
        // Two signals that come at once may be one.
        std::thread::sleep(Duration::from_millis(300));
        assert!(!process.has_ended());
        let began = Instant::now();
        process.ask_to_stop();
        assert_eq!(process.exit_status(), 143);
        assert!(began.elapsed() < Duration::from_secs(1));
    }
}
