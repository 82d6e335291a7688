//! The doctor as part of another program, which has no terminal and perhaps no database.

use tower_ownership::doctor::Doctor;
use tower_ownership::{
    MemoryDirectory, PostgresLookup, Session,
    directory::{MachineInfo, Membership as _, Process},
    explain::Finding,
};
use uuid::Uuid;

use crate::scene::{LANDED, OWNER, Scene};
use crate::support::server::serve;

#[tokio::test]
async fn a_directory_in_memory_and_an_edge_in_the_process_are_enough() {
    let scene = Scene::plain().await;
    let sessions = MemoryDirectory::new();
    let session = Uuid::new_v4();
    sessions.insert(Session::owned_by(session.into(), OWNER.parse().unwrap()));
    register(&sessions, LANDED).await;
    scene
        .machine_with(LANDED, sessions.clone(), |layer| {
            layer.expose_internals(false)
        })
        .await;

    let doctor = Doctor::new(sessions)
        .url(scene.edge.url("/session/{session}/"))
        .unwrap()
        .edge(&scene.edge);
    let diagnosis = doctor.diagnose(&session.to_string()).await;
    assert_eq!(diagnosis.finding, Finding::OwnerNeverSeen);
    assert_eq!(
        diagnosis.sentence,
        "The row is fine, the request was handled by `56837ddda10348`, and the owner \
         `e2863555a91708` was never seen, so the container was not created; it is not a database \
         timing problem."
    );
    let told = diagnosis.to_string();
    for line in [
        &format!("Session {session}"),
        "  !! presence: e2863555a91708 was never seen",
        "  ok handled by: 56837ddda10348",
        "  ok hops: 56837ddda10348 503",
        &format!("Diagnosis (owner-never-seen): {}", diagnosis.sentence),
        &format!("Next step: {}", diagnosis.next_step),
    ] {
        assert!(told.lines().any(|told| told == line), "{line}\n{told}");
    }
}

#[tokio::test]
async fn a_database_is_looked_at_by_the_same_builder_as_the_lookup_has() {
    let scene = Scene::migrated().await;
    let session = scene.owned().await;
    let builder = PostgresLookup::builder(scene.database.url());
    let doctor = Doctor::postgres(builder).unwrap();
    let diagnosis = doctor.diagnose(&session.to_string()).await;
    assert_eq!(diagnosis.finding, Finding::OwnerNeverSeen);
    assert!(diagnosis.also.is_empty());
}

#[tokio::test]
async fn a_query_of_the_applications_own_is_asked_as_it_is() {
    let scene = Scene::plain().await;
    let session = scene.owned().await;
    let doctor = |query: &str| {
        let builder = PostgresLookup::builder(scene.database.url()).query(query);
        Doctor::postgres(builder).unwrap()
    };
    let query = "SELECT container_id AS owner, status, 'lost' AS presence FROM preview_sessions \
                 WHERE id = $1";
    let diagnosis = doctor(query).diagnose(&session.to_string()).await;
    assert_eq!(diagnosis.finding, Finding::OwnerLost);
    let query = "SELECT status FROM preview_sessions WHERE id = $1";
    let diagnosis = doctor(query).diagnose(&session.to_string()).await;
    assert_eq!(diagnosis.finding, Finding::ColumnMissing);
}

#[tokio::test]
async fn a_session_that_moves_while_it_is_looked_at_is_served_by_its_owner() {
    let scene = Scene::plain().await;
    let sessions = MemoryDirectory::new();
    let session = Uuid::new_v4();
    let owned_by = move |id: &str| Session::owned_by(session.into(), id.parse().unwrap());
    for machine in [OWNER, LANDED] {
        register(&sessions, machine).await;
    }
    sessions.insert(owned_by(OWNER));
    let moving = sessions.clone();
    let router = axum::Router::new().fallback(async move || {
        moving.insert(owned_by(LANDED));
        "served"
    });
    scene.edge.add(LANDED, serve(router).await);

    let doctor = Doctor::new(sessions)
        .url(scene.edge.url("/session/{session}/"))
        .unwrap()
        .edge(&scene.edge);
    let diagnosis = doctor.diagnose(&session.to_string()).await;
    assert_eq!(diagnosis.finding, Finding::Fine, "{diagnosis}");
    assert!(
        diagnosis.sentence.contains(LANDED),
        "{}",
        diagnosis.sentence
    );
}

/// Makes the machine a member of the fleet.
async fn register(sessions: &MemoryDirectory, machine: &str) {
    let process = Process::new(machine.parse().unwrap(), Uuid::new_v4());
    let info = MachineInfo::default();
    sessions.register(&process, &info).await.unwrap();
}
