//! The README's picture of the doctor.

use uuid::Uuid;

use crate::scene::{LANDED, Scene};
use crate::support::picture;
use crate::terminal::at_a_terminal;

const SESSION: Uuid = Uuid::from_u128(0x807e_fe44_d63e_4a24_88f5_dbe9_6112_830a);

#[tokio::test]
async fn the_readme_shows_what_the_doctor_says_of_the_incident() {
    let scene = Scene::migrated().await;
    scene.machine(LANDED, scene.living_lookup()).await;
    let incident = scene.session(|session| {
        session.id = SESSION;
        session.expires_in = None;
    });
    let session = incident.await.to_string();
    let (edge, database) = (scene.edge.url(""), scene.database.url());
    let arguments = ["doctor", &session, "--url", &edge, "--database", &database];
    let screen = at_a_terminal(118, &arguments, &[]).await;
    let prompt = format!(
        "$ ownership doctor {session} --url 'https://app.example.com/session/{{session}}/'"
    );
    let screen = format!("{prompt}\n\n{}", picture::without_times(&screen));
    picture::shows("doctor", &screen);
}
