//! Sessions that are born in a container and asked for at another one.

use reqwest::Method;
use tower_ownership::testing::FlyEdge;
use tower_ownership::{PostgresLookup, postgres::PostgresIdType};

use crate::fleet::{OWNER, WRONG, edge};
use crate::support::client::{Answer, get, request, send};
use crate::support::container::Container;
use crate::support::database::Database;
use crate::support::until_async;

/// Two containers that beat, behind an edge, with sessions of any name.
struct Pair {
    database: Database,
    _containers: [Container; 2],
    edge: FlyEdge,
}

impl Pair {
    async fn start(place: &str) -> Self {
        let database = Database::fresh().await;
        database
            .execute(
                "CREATE TABLE preview_sessions (id text PRIMARY KEY, status text NOT NULL,
                     container_id text, container_url text, expires_at timestamptz,
                     ended_at timestamptz)",
            )
            .await;
        let lookup = PostgresLookup::builder(database.url()).ownership();
        let lookup = lookup.id_type(PostgresIdType::Text).build().unwrap();
        lookup.directory().unwrap().migrate().await.unwrap();
        let url = database.url();
        let start = |machine| {
            Container::start(&[
                ("MACHINE_ID", machine),
                ("DATABASE_URL", &url),
                ("OWNERSHIP_LIFE", "beat"),
                ("OWNERSHIP_IDS", "text"),
                ("OWNERSHIP_SESSION", place),
            ])
        };
        let containers = [start(WRONG), start(OWNER)];
        let edge = edge().start().await.unwrap();
        edge.add(WRONG, containers[0].addr);
        edge.add(OWNER, containers[1].addr);
        for container in &containers {
            until_async("it is ready", async || {
                let url = format!("http://{}/health/ready", container.addr);
                get(url).await.status == 200
            })
            .await;
        }
        Self {
            database,
            _containers: containers,
            edge,
        }
    }

    /// Creates a session on one machine; requests land on the other one from then on.
    async fn create(&self, query: &str) -> Answer {
        self.edge.land_on(OWNER);
        let url = self.edge.url(&format!("/session{query}"));
        let created = send(request(Method::POST, url)).await;
        self.edge.land_on(WRONG);
        created
    }
}

#[tokio::test]
async fn a_named_room_is_created_on_one_machine_and_found_by_the_other() {
    let pair = Pair::start("path:/session").await;
    let created = pair.create("?id=the%20blue%20room").await;
    assert_eq!(created.status, 201);
    let location = created.header("location").unwrap();
    assert_eq!(location, "/session/the%20blue%20room");
    let told = created.json();
    assert_eq!(
        (told["session"].as_str(), told["machine"].as_str()),
        (Some("the blue room"), Some(OWNER))
    );

    let room = pair.edge.url(location);
    let served = get(room.clone()).await;
    assert_eq!(served.status, 200);
    assert_eq!(
        (
            served.json()["machine"].as_str(),
            served.json()["epoch"].as_u64()
        ),
        (Some(OWNER), Some(1))
    );
    // The name is taken, also at the other machine.
    pair.edge.land_on(WRONG);
    let taken = send(request(
        Method::POST,
        pair.edge.url("/session?id=the%20blue%20room"),
    ))
    .await;
    assert_eq!(taken.status, 409);

    assert_eq!(
        send(request(Method::DELETE, room.clone())).await.status,
        204
    );
    get(room).await.is_refused(410, "session-over");
    let over = "SELECT bool_and(ended_at IS NOT NULL) FROM preview_sessions";
    pair.database.eventually(over).await;
    // The name may be given again, at any machine, at a higher epoch.
    let again = send(request(
        Method::POST,
        pair.edge.url("/session?id=the%20blue%20room"),
    ))
    .await;
    assert_eq!(again.status, 201);
    let risen = "SELECT owner_epoch > 1 FROM preview_sessions";
    pair.database.eventually(risen).await;
}

#[tokio::test]
async fn a_session_in_a_header_or_a_cookie_is_told_where_it_is_looked_for() {
    let pair = Pair::start("header:x-room").await;
    let created = pair.create("").await;
    let id = created.header("x-room").unwrap().to_owned();
    let asks = |method| request(method, pair.edge.url("/anything")).header("x-room", &id);
    let served = send(asks(Method::GET)).await;
    assert_eq!(
        (served.status, served.json()["machine"].as_str()),
        (200, Some(OWNER))
    );
    let url = pair.edge.url(&format!("/session/{id}"));
    let ended = send(request(Method::DELETE, url).header("x-room", &id)).await;
    assert_eq!(ended.status, 204);

    let pair = Pair::start("cookie:room").await;
    let created = pair.create("?id=lobby").await;
    let cookie = created.header("set-cookie").unwrap();
    assert_eq!(cookie, "room=lobby; Path=/; HttpOnly");
    let asks = request(Method::GET, pair.edge.url("/anything")).header("cookie", "room=lobby");
    let served = send(asks).await;
    assert_eq!(
        (served.status, served.json()["machine"].as_str()),
        (200, Some(OWNER))
    );
}
