//! Probes through the public address: their outcomes, and what they must not reveal or change.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use http::{HeaderMap, HeaderName, HeaderValue};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use reqwest::Method;
use tokio::net::TcpListener;
use tower_ownership::probe::{InvalidProbe, Probe, ProbeOutcome, ProbeSecret};
use tower_ownership::testing::{EdgeMachine, FlyEdge, FlyEdgeBuilder, HopKind};
use tower_ownership::{
    Address, Cookie, FlyReplay, Header, MemoryDirectory, OnLostOwner, OnUnassigned, OwnerStatus,
    OwnershipLayer, OwnershipLayerBuilder, Redirect, Session, SessionId, SessionStatus,
    explain::Finding, health::Check, replay::Fallback,
};

use crate::fleet::{
    Fleet, Machine, OWNER, Server, THIRD, WRONG, edge, layer, machine_id, new_session,
};
use crate::support::client::{SOON, get, request, send};
use crate::support::container::Container;
use crate::support::database::Database;
use crate::support::incident::PreviewSession;

const PROBE: &str = "ownership-probe";

fn secret() -> ProbeSecret {
    ProbeSecret::new("a secret of these tests").unwrap()
}

/// Every machine answers probes, and refuses everything else that shows no credentials.
async fn fleet() -> Fleet {
    probed(edge(), |machine, sessions| {
        layer(machine, sessions).guard(|head, _| head.headers.contains_key("authorization"))
    })
    .await
}

/// A fleet whose machines answer probes.
async fn probed(
    edge: FlyEdgeBuilder,
    layer: impl Fn(&'static str, MemoryDirectory) -> OwnershipLayerBuilder,
) -> Fleet {
    Fleet::mounted(edge, layer, answering).await
}

fn answering(router: Router, layer: &OwnershipLayer) -> Router {
    router.layer(layer.answer_probes(secret()))
}

/// The layer of the machine that probes, with the fleet's directory.
fn prober(sessions: &MemoryDirectory) -> OwnershipLayer {
    layer(WRONG, sessions.clone()).build().unwrap()
}

fn probe(edge: &FlyEdge, session: SessionId) -> Probe {
    Probe::new(&edge.url("/session/{session}"), session, secret()).unwrap()
}

async fn run(fleet: &Fleet, session: SessionId) -> ProbeOutcome {
    probe(&fleet.edge, session)
        .run(&prober(&fleet.sessions))
        .await
}

fn machines_of(fleet: &Fleet) -> Vec<(String, HopKind)> {
    let hops = fleet.edge.hops().into_iter();
    hops.map(|hop| (hop.machine, hop.kind)).collect()
}

#[track_caller]
fn arrived(outcome: &ProbeOutcome) -> (&str, bool) {
    match outcome {
        ProbeOutcome::Arrived {
            machine, replayed, ..
        } => (machine.as_str(), *replayed),
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn a_probe_is_replayed_to_the_owner_and_never_reaches_the_application() {
    let fleet = fleet().await;
    let session = fleet.session();
    let outcome = run(&fleet, session.clone()).await;
    assert_eq!(arrived(&outcome), (OWNER, true));
    assert_eq!(
        machines_of(&fleet),
        [
            (WRONG.to_owned(), HopKind::Landed),
            (OWNER.to_owned(), HopKind::Replayed)
        ]
    );
    assert_eq!(
        (fleet.wrong.served(&session), fleet.owner.served(&session)),
        (0, 0)
    );
    assert_eq!(
        serde_json::to_value(&outcome).unwrap(),
        serde_json::json!({ "outcome": "arrived", "machine": OWNER, "replayed": true })
    );
    assert!(Check::from(&outcome).is_ok());
}

#[tokio::test]
async fn a_probe_of_a_session_in_a_header_or_a_cookie_is_replayed_to_the_owner() {
    for (name, value) in [
        ("mcp-session-id", "{session}"),
        ("cookie", "theme=dark; sid={session}"),
    ] {
        let fleet = probed(edge(), move |machine, sessions| {
            let layer = layer(machine, sessions);
            match name {
                "cookie" => layer.session(Cookie::named("sid").unwrap()),
                _ => layer.session(Header::mcp_session_id()),
            }
        })
        .await;
        let session = fleet.session();
        let probe = Probe::new(&fleet.edge.url("/mcp"), session.clone(), secret()).unwrap();
        let probe = probe.header(
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        );
        let outcome = probe.run(&prober(&fleet.sessions)).await;
        assert_eq!(arrived(&outcome), (OWNER, true));
    }
}

#[tokio::test]
async fn a_container_that_is_told_to_probe_shows_what_became_of_it() {
    let database = Database::fresh().await;
    database.incident_table().await;
    let session = database.insert(&PreviewSession::owned_by(OWNER)).await;
    let (url, session) = (database.url(), session.to_string());
    let edge = edge().start().await.unwrap();
    let public = edge.url("/session/{session}");
    let start = |machine, secret| {
        Container::start(&[
            ("MACHINE_ID", machine),
            ("DATABASE_URL", &url),
            ("OWNERSHIP_PROBE_SECRET", secret),
            ("OWNERSHIP_PROBE_URL", &public),
            ("OWNERSHIP_PROBE_SESSION", &session),
            ("OWNERSHIP_PROBE_MS", "100"),
        ])
    };
    let secret = "a secret of these tests";
    let (wrong, owner) = (start(WRONG, secret), start(OWNER, secret));
    edge.add(WRONG, wrong.addr);
    edge.add(OWNER, owner.addr);
    let shows = async |reason: &str| {
        let began = Instant::now();
        loop {
            let page = get(wrong.url("/health/")).await;
            let components = page.json()["components"].as_array().cloned().unwrap();
            let probed = components
                .iter()
                .find(|one| one["name"] == "probe")
                .unwrap();
            if probed["reason"].as_str().unwrap().contains(reason) {
                assert_eq!(probed["required"], false);
                return probed["ok"].as_bool().unwrap();
            }
            assert!(began.elapsed() < SOON, "{probed}\n{}", wrong.log());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    assert!(shows("arrived").await);
    let stranger = start(OWNER, "the secret of somebody else");
    edge.add(OWNER, stranger.addr);
    assert!(!shows("the application answers by itself").await);
}

#[test]
fn a_container_that_is_told_half_of_what_a_probe_takes_does_not_run() {
    for (given, missing) in [
        ("OWNERSHIP_PROBE_URL", "OWNERSHIP_PROBE_SESSION"),
        ("OWNERSHIP_PROBE_SESSION", "OWNERSHIP_PROBE_URL"),
    ] {
        let told = [("MACHINE_ID", OWNER), (given, "given")];
        let Err((status, log)) = Container::attempt(&told) else {
            panic!("it runs without {missing}");
        };
        assert_eq!(status, 1);
        assert!(log.contains(missing), "{log}");
    }
}

#[tokio::test]
async fn a_probe_that_comes_to_the_owner_at_once_says_that_it_proves_little() {
    let fleet = fleet().await;
    fleet.edge.land_on(OWNER);
    let session = fleet.session();
    assert_eq!(arrived(&run(&fleet, session.clone()).await), (OWNER, false));
    let here = HeaderValue::from_static(WRONG);
    let prefers = HeaderName::from_static("fly-prefer-instance-id");
    let outcome = probe(&fleet.edge, session).header(prefers, here);
    let outcome = outcome.run(&prober(&fleet.sessions)).await;
    assert_eq!(arrived(&outcome), (OWNER, true));
}

#[tokio::test]
async fn a_proxy_that_ignores_replays_is_found_out() {
    let fleet = probed(edge().honour_replay(false), layer).await;
    let session = fleet.session();
    let outcome = run(&fleet, session.clone()).await;
    assert_eq!(outcome.finding(), Some(Finding::ReplayNotHonoured));
    assert!(!Check::from(&outcome).is_ok());
    // As is somebody who goes past the proxy.
    let past = fleet.wrong.server.url("/session/{session}");
    let past = Probe::new(&past, session, secret()).unwrap();
    let past = past.run(&prober(&fleet.sessions)).await;
    assert_eq!(past.finding(), Some(Finding::ReplayNotHonoured));
}

#[tokio::test]
async fn directories_that_contradict_each_other_are_found_out() {
    let session = new_session();
    let knows = |owner: &str| {
        let sessions = MemoryDirectory::new();
        sessions.insert(Session::owned_by(session.clone(), machine_id(owner)));
        sessions
    };
    let machine =
        async |id, owner: &str| Machine::mounted(id, layer(id, knows(owner)), &answering).await;
    let wrong = machine(WRONG, OWNER).await;
    let owner = machine(OWNER, WRONG).await;
    let edge = edge().start().await.unwrap();
    edge.add(WRONG, wrong.server.addr);
    edge.add(OWNER, owner.server.addr);
    let probe = probe(&edge, session.clone());
    let outcome = probe.run(&prober(&knows(OWNER))).await;
    assert_eq!(outcome.finding(), Some(Finding::ReplayLoop));

    // One that takes itself for the owner, and is not: two machines serve one session.
    let thief = machine(THIRD, THIRD).await;
    edge.add(THIRD, thief.server.addr);
    edge.land_on(THIRD);
    let outcome = probe.run(&prober(&knows(OWNER))).await;
    let wrong = |outcome: &ProbeOutcome| match outcome {
        ProbeOutcome::Failed {
            finding: Finding::WrongMachine,
            machine,
            ..
        } => machine.clone(),
        other => panic!("{other}"),
    };
    assert_eq!(wrong(&outcome), None);
    // That is the one which probes.
    let me = layer(THIRD, knows(OWNER));
    let outcome = probe.run(&me.build().unwrap()).await;
    assert_eq!(wrong(&outcome), Some(machine_id(THIRD)));
    assert_eq!((thief.served(&session), owner.served(&session)), (0, 0));
}

#[tokio::test]
async fn an_owner_that_is_dead_is_told_with_the_proxys_reason() {
    let mut fleet = fleet().await;
    let session = fleet.session();
    fleet.owner.server.stop().await;
    let outcome = run(&fleet, session.clone()).await;
    assert_eq!(outcome.finding(), Some(Finding::OwnerUnreachable));
    assert!(
        outcome.to_string().contains("retries_exhausted"),
        "{outcome}"
    );
    fleet.edge.remove(OWNER);
    let outcome = run(&fleet, session).await;
    assert!(outcome.to_string().contains("no_candidate"), "{outcome}");
    // Without a fallback, nobody of ours gets to say it.
    let bare = probed(edge(), |machine, sessions| {
        layer(machine, sessions).replay(FlyReplay::new().fallback(Fallback::None))
    })
    .await;
    bare.edge.remove(OWNER);
    let outcome = run(&bare, bare.session()).await;
    assert_eq!(outcome.finding(), Some(Finding::ProxyError));
    assert!(outcome.to_string().contains("502"), "{outcome}");
}

#[tokio::test]
async fn an_owner_that_the_directory_knows_to_be_away_is_told_as_that() {
    let fleet = fleet().await;
    let session = new_session();
    for (presence, finding) in [
        (OwnerStatus::Lost, Finding::OwnerLost),
        (OwnerStatus::NeverSeen, Finding::OwnerNeverSeen),
    ] {
        let owned = Session::owned_by(session.clone(), machine_id(OWNER));
        fleet.sessions.insert(owned.with_owner_status(presence));
        let outcome = run(&fleet, session.clone()).await;
        assert_eq!(outcome.finding(), Some(finding));
    }
}

#[tokio::test]
async fn a_probe_waits_for_as_long_as_it_was_told() {
    let fleet = fleet().await;
    let session = fleet.session();
    let wakes_never = EdgeMachine::stopped(OWNER, std::future::pending::<io::Result<_>>);
    fleet.edge.add_machine(wakes_never);
    let brief = probe(&fleet.edge, session.clone()).timeout(Duration::from_millis(200));
    let outcome = brief.run(&prober(&fleet.sessions)).await;
    assert_eq!(outcome.finding(), Some(Finding::UrlUnreachable));
    assert!(
        outcome.to_string().contains("no answer within"),
        "{outcome}"
    );
    // Nobody accepts, or answers.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!(
        "http://{}/session/{{session}}",
        silent.local_addr().unwrap()
    );
    let brief = Probe::new(&url, session.clone(), secret()).unwrap();
    let brief = brief.timeout(Duration::from_millis(50));
    let outcome = brief.send(&machine_id(OWNER)).await;
    assert_eq!(outcome.finding(), Some(Finding::UrlUnreachable));
    assert!(
        outcome.to_string().contains("no answer within"),
        "{outcome}"
    );
    drop(silent);
    let outcome = brief.send(&machine_id(OWNER)).await;
    assert_eq!(outcome.finding(), Some(Finding::UrlUnreachable));
    assert!(outcome.to_string().contains("refused"), "{outcome}");
}

#[tokio::test]
async fn an_answer_of_somebody_else_is_told_from_ours() {
    let session = new_session();
    let stranger = Server::start(Router::new()).await;
    let probe = Probe::new(&stranger.url("/session/{session}"), session, secret()).unwrap();
    let outcome = probe.send(&machine_id(OWNER)).await;
    assert_eq!(outcome.finding(), Some(Finding::ApplicationRefused));
    assert!(outcome.to_string().contains("404"), "{outcome}");
    // A layer that has another secret treats it as any request: the guard refuses it.
    let fleet = fleet().await;
    let others = ProbeSecret::new("a secret of some others").unwrap();
    let url = fleet.edge.url("/session/{session}");
    let probe = Probe::new(&url, fleet.session(), others).unwrap();
    let outcome = probe.send(&machine_id(OWNER)).await;
    assert_eq!(outcome.finding(), Some(Finding::SessionForbidden));
}

#[tokio::test]
async fn a_refusal_is_told_with_its_code() {
    let fleet = fleet().await;
    let probe = probe(&fleet.edge, new_session());
    let outcome = probe.send(&machine_id(OWNER)).await;
    assert_eq!(outcome.finding(), Some(Finding::SessionUnknown));
    assert!(
        outcome.to_string().contains("knows no session"),
        "{outcome}"
    );
}

#[tokio::test]
async fn what_cannot_be_probed_is_inconclusive() {
    let fleet = fleet().await;
    let mine = fleet.session_of(WRONG);
    let unassigned = new_session();
    fleet
        .sessions
        .insert(Session::new(unassigned.clone(), SessionStatus::Active));
    for session in [mine, unassigned, new_session()] {
        let outcome = run(&fleet, session).await;
        assert!(
            matches!(outcome, ProbeOutcome::Inconclusive { .. }),
            "{outcome}"
        );
        assert!(Check::from(&outcome).is_ok());
    }
    assert!(fleet.edge.hops().is_empty(), "nothing was sent");
}

#[tokio::test]
async fn a_probe_claims_and_takes_over_nothing() {
    let sessions = MemoryDirectory::new();
    let claims = layer(WRONG, sessions.clone())
        .directory(sessions.clone())
        .on_unassigned(OnUnassigned::Claim)
        .on_lost_owner_by(|_| OnLostOwner::TakeOver);
    let machine = Machine::mounted(WRONG, claims, &answering).await;
    let (unassigned, lost) = (new_session(), new_session());
    for (session, outcome) in [
        (
            Session::new(unassigned, SessionStatus::Active),
            "session-starting",
        ),
        (
            Session::owned_by(lost, machine_id(OWNER)).with_owner_status(OwnerStatus::Lost),
            "owner-lost",
        ),
    ] {
        sessions.insert(session.clone());
        let url = machine.server.url("/session/{session}");
        let probe = Probe::new(&url, session.id().clone(), secret()).unwrap();
        let probed = probe.send(&machine_id(OWNER)).await;
        assert_eq!(probed.finding().unwrap().as_str(), outcome);
        assert_eq!(sessions.get(session.id()), Some(session));
    }
}

#[tokio::test]
async fn a_redirect_is_followed_to_the_owner() {
    let fleet = probed(edge(), |machine, sessions| {
        let to_owner = Redirect::to_session_address(["127.0.0.1"]).unwrap();
        layer(machine, sessions).replay(to_owner)
    })
    .await;
    let session = new_session();
    let lives_at = |server: &Server| {
        let address = Address::parse(&server.url("")).unwrap();
        let owned = Session::owned_by(session.clone(), machine_id(OWNER));
        fleet.sessions.insert(owned.with_address(address));
    };
    lives_at(&fleet.owner.server);
    let url = fleet.wrong.server.url("/session/{session}");
    let probe = Probe::new(&url, session.clone(), secret()).unwrap();
    let outcome = probe.run(&prober(&fleet.sessions)).await;
    assert_eq!(arrived(&outcome), (OWNER, true));
    // Two that send it to each other.
    lives_at(&fleet.third.server);
    let outcome = probe.run(&prober(&fleet.sessions)).await;
    assert_eq!(outcome.finding(), Some(Finding::ReplayLoop));
}

/// Serves HTTP/1.1 and HTTP/2, whichever the client begins with.
async fn serve(router: Router) -> Server {
    Server::with(async move |listener: TcpListener| {
        while let Ok((stream, _)) = listener.accept().await {
            let service = TowerToHyperService::new(router.clone());
            tokio::spawn(async move {
                let server = auto::Builder::new(TokioExecutor::new());
                let _ = server.serve_connection(TokioIo::new(stream), service).await;
            });
        }
    })
    .await
}

#[tokio::test]
async fn a_session_that_is_not_in_the_url_is_probed_by_a_header_over_http_1_and_2() {
    let sessions = MemoryDirectory::new();
    let session = new_session();
    sessions.insert(Session::owned_by(session.clone(), machine_id(OWNER)));
    let by_header = OwnershipLayer::builder(sessions)
        .session(Header::mcp_session_id())
        .machine(machine_id(OWNER))
        .replay(FlyReplay::new());
    let server = serve(answering(Router::new(), &by_header.build().unwrap())).await;
    for http2 in [false, true] {
        let id = HeaderValue::try_from(session.to_string()).unwrap();
        let probe = Probe::new(&server.url("/mcp"), session.clone(), secret()).unwrap();
        let probe = probe.http2(http2);
        let probe = probe.header(HeaderName::from_static("mcp-session-id"), id);
        let outcome = probe.send(&machine_id(OWNER)).await;
        assert_eq!(arrived(&outcome), (OWNER, false), "{http2}");
    }
}

/// What a probe carries, as a server on its way sees it.
async fn overheard(session: SessionId) -> HeaderMap {
    let heard = Arc::new(Mutex::new(HeaderMap::new()));
    let listener = Arc::clone(&heard);
    let router = Router::new().fallback(async move |headers: HeaderMap| {
        *listener.lock().unwrap() = headers;
    });
    let server = Server::start(router).await;
    let probe = Probe::new(&server.url("/session/{session}"), session, secret()).unwrap();
    let outcome = probe.send(&machine_id(OWNER)).await;
    assert_eq!(outcome.finding(), Some(Finding::ApplicationRefused));
    heard.lock().unwrap().clone()
}

#[tokio::test]
async fn a_header_that_was_overheard_opens_no_session_and_names_no_machine() {
    let fleet = fleet().await;
    let (probed, other) = (fleet.session(), fleet.session());
    let header = overheard(probed.clone()).await[PROBE]
        .to_str()
        .unwrap()
        .to_owned();
    assert!(!header.contains("a secret of these tests"));

    let ask = |session: SessionId| {
        let url = fleet.edge.url(&format!("/session/{session}"));
        send(request(Method::GET, url).header(PROBE, header.clone()))
    };
    let again = ask(probed.clone()).await;
    assert_eq!(again.status, 204);
    let said = again.header(PROBE).unwrap().to_owned();
    assert!(!said.contains(OWNER) && !said.contains(WRONG), "{said}");
    assert!(again.text.is_empty());
    // It proves nothing for another session: the guard refuses it.
    let elsewhere = ask(other.clone()).await;
    assert_eq!(elsewhere.status, 403);
    assert_eq!(elsewhere.header(PROBE), None);
    assert_eq!(
        (fleet.owner.served(&probed), fleet.owner.served(&other)),
        (0, 0)
    );
}

#[tokio::test]
async fn a_layer_that_answers_no_probes_lets_none_past_its_guard() {
    let sessions = MemoryDirectory::new();
    let session = new_session();
    sessions.insert(Session::owned_by(session.clone(), machine_id(OWNER)));
    let guarded = layer(OWNER, sessions).guard(|_, _| false);
    let machine = Machine::start(OWNER, guarded).await;
    let url = machine.server.url("/session/{session}");
    let probe = Probe::new(&url, session.clone(), secret()).unwrap();
    let outcome = probe.send(&machine_id(OWNER)).await;
    assert_eq!(outcome.finding(), Some(Finding::SessionForbidden));
    assert_eq!(machine.served(&session), 0);
}

#[tokio::test]
async fn a_request_with_a_made_up_header_is_a_request_like_any_other() {
    let fleet = probed(edge(), layer).await;
    let session = fleet.session();
    let url = fleet.edge.url(&format!("/session/{session}"));
    for forged in [
        "",
        "1",
        "arrived",
        "00000000000000000000000000000000 0000000000000000000000000000000000000000000000000000000000000000",
    ] {
        let answer = send(request(Method::GET, url.clone()).header(PROBE, forged)).await;
        answer.is_served_by(OWNER);
        assert_eq!(answer.header(PROBE), None);
    }
    get(url).await.is_served_by(OWNER);
}

#[test]
fn what_cannot_be_probed_is_refused_when_it_is_made() {
    let session = new_session();
    for url in ["", "/session/{session}", "ftp://example.com", "http://a@b/"] {
        let refused = Probe::new(url, session.clone(), secret()).unwrap_err();
        assert!(matches!(refused, InvalidProbe::NotAUrl { .. }), "{url}");
    }
    let https = Probe::new("https://example.com/{session}", session, secret());
    assert_eq!(https.is_ok(), cfg!(feature = "tls"));
}
