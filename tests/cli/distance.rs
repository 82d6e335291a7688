//! A desk that is far from the database.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

use crate::command::run;
use crate::scene::{OWNER, Scene};

const ONE_WAY: Duration = Duration::from_millis(100);

/// A line to this port of 127.0.0.1 on which everything takes [`ONE_WAY`].
async fn line_to(port: u16) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let entrance = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((near, _)) = listener.accept().await {
            let far = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
            let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
            tokio::spawn(carry(near_in, far_out));
            tokio::spawn(carry(far_in, near_out));
        }
    });
    entrance
}

async fn carry(mut from: OwnedReadHalf, mut to: OwnedWriteHalf) {
    let mut bytes = vec![0; 65_536];
    while let Ok(count @ 1..) = from.read(&mut bytes).await {
        tokio::time::sleep(ONE_WAY).await;
        if to.write_all(&bytes[..count]).await.is_err() {
            return;
        }
    }
}

#[tokio::test]
async fn commands_work_over_a_line_of_two_hundred_milliseconds() {
    let scene = Scene::migrated().await;
    scene.beat(OWNER, 0.0, "").await;
    let session = scene.owned().await.to_string();
    let url = scene
        .database
        .url_through(line_to(scene.database.port()).await);
    let said = run(&["doctor", "--json", &session, "--database", &url], &[]).await;
    assert_eq!(said.json()["finding"], "fine", "{said:?}");
    for command in ["audit", "sessions", "machines"] {
        let said = run(&[command, "--json", "--database", &url], &[]).await;
        assert_eq!(said.status, 0, "{said:?}");
    }
    // As long as a machine waits, and no longer, is too short from there.
    let arguments = ["machines", "--database", &url, "--database-timeout=300ms"];
    let said = run(&arguments, &[]).await;
    assert_eq!(said.status, 3, "{said:?}");
    assert!(said.err.contains("--database-timeout"), "{said:?}");
}
