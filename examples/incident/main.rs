//! The incident of 2025-09-04, happening and healed, in one command and without a database:
//!
//! ```sh
//! cargo run --example incident --features testing,doctor            # plays it
//! cargo run --example incident --features testing,doctor -- --serve # … and stays up to click through
//! ```
//!
//! Real containers on loopback sockets behind `FlyEdge`, which does what Fly Proxy's reference
//! says. With `DATABASE_URL`, the sessions are rows in `PostgreSQL`, in a schema of the demo's own.

// An example exports nothing.
#![allow(unreachable_pub)]

mod container;
mod directory;
mod fleet;
mod telling;

use std::{
    env,
    error::Error,
    net::SocketAddr,
    time::{Duration, Instant},
};

use tower_ownership::testing::{EdgeRecord, FlyEdge};

use container::Container;
use directory::Directory;
use fleet::Fleet;
use telling::{ask, in_words, open, say, scene};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// The incident's session, and the machine that it belonged to.
const SESSION: &str = "807efe44-d63e-4a24-88f5-dbe96112830a";
const OWNER: &str = "e2863555a91708";
/// The machine that every request landed on.
const LANDED: &str = "56837ddda10348";
/// A session whose owner was written down and never started, and one without an owner.
const OWNER_NEVER_STARTED: &str = "1f0c5a52-3c1f-4d57-9a50-0d4c8f2f6b11";
const NEVER_STARTED: &str = "9080eaf3b65d98";
const UNASSIGNED: &str = "6b1d94c0-6a0e-4b8e-9f57-3f1b7f6f2c22";
/// A session that has a name, and is born in a response.
const ROOM: &str = "blue-room";

#[tokio::main]
async fn main() -> Result<()> {
    let directory = Directory::open().await?;
    directory.write(SESSION, Some(OWNER)).await?;
    directory
        .write(OWNER_NEVER_STARTED, Some(NEVER_STARTED))
        .await?;
    directory.write(UNASSIGNED, None).await?;

    without_the_layer().await?;
    with_the_layer(&directory).await?;
    the_owner_dies(&directory).await?;
    the_doctor_is_called(&directory).await?;
    if env::args().any(|argument| argument == "--serve") {
        stay_up(&directory).await?;
    }
    directory.close().await
}

async fn without_the_layer() -> Result<()> {
    scene("Without the layer, as on 2025-09-04");
    say(&format!(
        "The directory has the row: {SESSION} is active and belongs to {OWNER}."
    ));
    let edge = FlyEdge::builder().land_on(LANDED).start().await?;
    for machine in [OWNER, LANDED] {
        edge.add(machine, Container::named(machine).start(None).await?.addr);
    }
    ask(&edge, SESSION).await?;
    say(
        "The row was there and active. Neither the database nor its timing had anything to do with",
    );
    say("it: the wrong machine answered for a session that it never had, without an error.");
    edge.shutdown().await;
    Ok(())
}

async fn with_the_layer(directory: &Directory) -> Result<()> {
    scene("The same request, the same machines, with the layer");
    let fleet = Fleet::that_reads(directory, FlyEdge::builder()).await?;
    ask(&fleet.edge, SESSION).await?;
    say("The wrong machine knew that it was the wrong one, and whose turn it was.");

    scene("The owner was written down, and never started");
    say(&format!(
        "The directory says that {OWNER_NEVER_STARTED} belongs to {NEVER_STARTED}."
    ));
    ask(&fleet.edge, OWNER_NEVER_STARTED).await?;
    say("The proxy gave the request back, and the answer says which thing went wrong.");

    scene("Nobody owns the session yet");
    ask(&fleet.edge, UNASSIGNED).await?;
    say(&format!(
        "The orchestrator assigns it to {OWNER}. The client waits for the second"
    ));
    say("that `Retry-After` named, and asks again.");
    directory.write(UNASSIGNED, Some(OWNER)).await?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    ask(&fleet.edge, UNASSIGNED).await?;

    scene("A room is born on one machine, and asked for on another");
    fleet.edge.land_on(OWNER);
    open(&fleet.edge, ROOM).await?;
    say(&format!(
        "It is in the memory of {OWNER}, and in the directory before the client knows its name."
    ));
    fleet.edge.land_on(LANDED);
    ask(&fleet.edge, ROOM).await?;
    fleet.edge.shutdown().await;
    Ok(())
}

async fn the_owner_dies(directory: &Directory) -> Result<()> {
    scene("Now machines say that they are there, and the owner dies");
    let mut fleet = Fleet::that_lives(directory).await?;
    ask(&fleet.edge, SESSION).await?;
    say(&format!(
        "{OWNER} is killed. It is lost after {:?} of silence (15 s by default); until then",
        Directory::LOST_AFTER
    ));
    say("it may only be slow.");
    fleet.kill(OWNER);
    let killed = Instant::now();
    tokio::time::sleep(Directory::LOST_AFTER + Duration::from_millis(300)).await;
    ask(&fleet.edge, SESSION).await?;
    say(&format!(
        "{LANDED} has taken the session over, and waits {:.1} s (6 s by default) before it serves:",
        Fleet::WAIT.as_secs_f64()
    ));
    say("a machine whose heartbeats have stopped may still be serving, for no longer than that.");
    // The owner comes back, and waits for its killed self meanwhile.
    fleet.add(OWNER).await?;
    tokio::time::sleep(Fleet::WAIT + Duration::from_millis(150)).await;
    ask(&fleet.edge, SESSION).await?;
    say(&format!(
        "Served again {:.1} s after the owner was killed.",
        killed.elapsed().as_secs_f64()
    ));

    scene("The new owner is asked to stop, and gives up what it owns");
    fleet.edge.land_on(OWNER);
    let began = Instant::now();
    let released = fleet.drain(LANDED).await?;
    say(&format!(
        "{LANDED} stopped serving, and gave up {released} session(s), with a proof that it had."
    ));
    ask(&fleet.edge, SESSION).await?;
    say(&format!(
        "Nobody had to wait: {OWNER} serves it {} ms later, at a later epoch.",
        began.elapsed().as_millis()
    ));
    fleet.edge.shutdown().await;
    Ok(())
}

async fn the_doctor_is_called(directory: &Directory) -> Result<()> {
    scene("The incident again, and the doctor is called");
    directory.begin_anew().await?;
    directory.write(SESSION, Some(OWNER)).await?;
    let fleet = Fleet::without_the_owner(directory).await?;
    say(&format!(
        "The row says {OWNER}, which was never created. `ownership doctor {SESSION} --url …` says:"
    ));
    println!();
    let doctor = directory
        .doctor()
        .url(fleet.edge.url("/session/{session}/"))?
        .edge(&fleet.edge);
    for line in doctor.diagnose(SESSION).await.to_string().lines() {
        println!("    {line}");
    }
    fleet.edge.shutdown().await;
    Ok(())
}

async fn stay_up(directory: &Directory) -> Result<()> {
    directory.begin_anew().await?;
    directory.write(SESSION, Some(OWNER)).await?;
    directory
        .write(OWNER_NEVER_STARTED, Some(NEVER_STARTED))
        .await?;
    directory.write(UNASSIGNED, None).await?;
    let usual: SocketAddr = ([127, 0, 0, 1], 4000).into();
    let edge = match Fleet::that_reads(directory, FlyEdge::builder().listen(usual)).await {
        Ok(fleet) => fleet.edge,
        // The port is taken.
        Err(_) => Fleet::that_reads(directory, FlyEdge::builder()).await?.edge,
    };
    scene("See for yourself");
    say(&format!(
        "Open {} in a browser. Ctrl-C ends it.",
        edge.url("/")
    ));
    let mut watch = edge.subscribe();
    loop {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => break,
            record = watch.next() => match record {
                Some(EdgeRecord::Hop(hop)) => say(&in_words(&hop)),
                Some(EdgeRecord::Event(event)) => say(&event.to_string()),
                Some(_) => {}
                None => break,
            },
        }
    }
    edge.shutdown().await;
    Ok(())
}
