//! Whether the short way and the long way come to the same. Time is driven by hand.

use std::sync::atomic::Ordering;

use bytes::Bytes;
use futures_util::FutureExt;
use http::{HeaderMap, HeaderValue, Request, Response, header::ACCEPT};
use proptest::{prelude::*, sample::select};

use super::*;
use crate::{
    FlyReplay, Header, LookupError, NodeState, OwnershipLayer, SessionStatus, clock::Clock,
    lookup_fn,
};

const START: u64 = 100_000;

/// What may differ between two requests.
#[derive(Clone, Debug)]
struct Case {
    session: Session,
    state: NodeState,
    /// How long after the read the request comes.
    age: u64,
    fields: HeaderMap,
    has_cut: bool,
}

/// Another session of the other machine, for which the answer that hands it over has been kept.
fn another() -> SessionId {
    SessionId::new(uuid::Uuid::from_u128(8))
}

fn id() -> SessionId {
    SessionId::new(uuid::Uuid::from_u128(7))
}

fn session() -> impl Strategy<Value = Session> {
    let owners = vec![None, Some("me"), Some("me"), Some("other")];
    let statuses = vec![
        SessionStatus::Active,
        SessionStatus::Active,
        SessionStatus::Starting,
        SessionStatus::Over,
    ];
    let presences = vec![
        OwnerStatus::Unknown,
        OwnerStatus::Alive,
        OwnerStatus::Draining,
        OwnerStatus::Silent,
        OwnerStatus::Lost,
        OwnerStatus::NeverSeen,
        OwnerStatus::Superseded,
    ];
    let lives = vec![None, Some(0), Some(1), Some(700), Some(60_000)];
    (
        select(owners),
        select(statuses),
        select(presences),
        select(lives),
        prop::option::of(0..4_u64),
        prop::option::of(0..4_u64),
    )
        .prop_map(|(owner, status, presence, life, epoch, released)| {
            let mut session = Session::new(id(), status).with_owner_status(presence);
            if let Some(owner) = owner {
                session = session.with_owner(owner.parse().unwrap());
            }
            if let Some(life) = life {
                session = session.with_remaining(std::time::Duration::from_millis(life));
            }
            if let Some(epoch) = epoch {
                session = session.with_epoch(epoch);
            }
            if let Some(released) = released {
                session = session.with_released(released);
            }
            session
        })
}

fn case() -> impl Strategy<Value = Case> {
    let fields = vec![
        ("accept", "text/html,*/*;q=0.8"),
        ("accept", "*/*"),
        ("fly-replay-src", "instance=a;state=own.1"),
        ("fly-replay-failed", "reason=timeout"),
        ("content-length", "9000000"),
        ("transfer-encoding", "chunked"),
        ("upgrade", "websocket"),
        ("cookie", "a=b"),
    ];
    (
        session(),
        select(NodeState::ALL.to_vec()),
        select(vec![0, 1, 300, 690, 900, 3_000, 4_000, 6_000, 29_000]),
        prop::collection::vec(select(fields), 0..3),
        any::<bool>(),
    )
        .prop_map(|(session, state, age, fields, has_cut)| {
            let mut map = HeaderMap::new();
            for (name, value) in fields {
                map.insert(name, value.parse().unwrap());
            }
            Case {
                session,
                state,
                age,
                fields: map,
                has_cut,
            }
        })
}

/// The status and the fields of an answer.
type Told = Box<(u16, HeaderMap, Bytes)>;

fn told(answer: Response<Bytes>) -> Told {
    let (head, body) = answer.into_parts();
    Box::new((head.status.as_u16(), head.headers, body))
}

/// What a second request comes to on the long way, and on the short one.
fn ways(case: &Case) -> (Result<bool, Told>, Option<Result<bool, Told>>) {
    let (clock, time) = Clock::by_hand();
    time.store(START, Ordering::SeqCst);
    let session = case.session.clone();
    let healthy = Session::owned_by(another(), "other".parse().unwrap());
    let lookup = lookup_fn(move |asked: SessionId| {
        let session = if asked == id() { &session } else { &healthy }.clone();
        async move { Ok::<_, LookupError>(Some(session)) }
    });
    let layer = OwnershipLayer::builder(lookup)
        .session(Header::named("x-session").unwrap())
        .machine("me".parse::<MachineId>().unwrap())
        .replay(FlyReplay::new())
        .build_with(clock.clone())
        .unwrap();
    let policy = layer.policy();
    let parts = |fields: &HeaderMap| {
        let mut request = Request::new(());
        *request.headers_mut() = fields.clone();
        request.into_parts().0
    };
    let long = |id: SessionId, fields: &HeaderMap, found| {
        let mut head = parts(fields);
        let question = policy.question(&Head::from(&head), id);
        match policy.judge(&mut head, &question, found, &RequestSpan::default()) {
            Act::Pass(_) => Ok(true),
            Act::Answer(Ok(answer)) => Err(told(answer)),
            _ => Ok(false),
        }
    };
    let read = |id: SessionId| {
        policy
            .sessions
            .cache
            .load(&id, false)
            .now_or_never()
            .unwrap()
    };
    for accept in ["text/html,*/*;q=0.8", "*/*"] {
        let fields = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static(accept))]);
        let told = long(another(), &fields, read(another()));
        assert!(told.is_err(), "{told:?}");
    }
    read(id());
    if case.has_cut {
        clock.cut();
    }
    policy.sessions.node.advance(case.state);
    time.fetch_add(case.age, Ordering::SeqCst);
    let head = parts(&case.fields);
    let short = match policy.at_once(&Head::from(&head), &id()) {
        AtOnce::Passes(_) => Some(Ok(true)),
        AtOnce::Answered(answer) => Some(Err(told(answer))),
        #[cfg(feature = "forward")]
        AtOnce::IsCarried(_) => unreachable!("no case forwards"),
        AtOnce::No => None,
    };
    let hit = policy.sessions.cache.hit(&id());
    let long = hit.map_or(Ok(false), |hit| long(id(), &case.fields, hit.found()));
    (long, short)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn the_short_way_comes_to_what_the_long_way_comes_to(case in case()) {
        let (long, short) = ways(&case);
        if let Some(short) = short {
            prop_assert_eq!(short, long);
        }
    }
}

#[test]
fn most_requests_go_the_short_way() {
    let case = |owner: &str| Case {
        session: Session::owned_by(id(), owner.parse().unwrap()).with_epoch(1),
        state: NodeState::Serving,
        age: 1_000,
        fields: HeaderMap::new(),
        has_cut: false,
    };
    let (long, short) = ways(&case("me"));
    assert_eq!((&long, short.as_ref()), (&Ok(true), Some(&Ok(true))));
    let (long, short) = ways(&case("other"));
    assert!(long.is_err() && short == Some(long));
}
