//! Clients go away at every moment. Whoever else waits gets the answer all the same, and nothing
//! is left behind.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use http::{Request, Response};
use tokio::sync::oneshot;
use tower::{Layer, Service, service_fn};
use tower_ownership::{
    FlyReplay, LookupError, MachineId, OwnershipLayer, PathSegment, Session, lookup_fn,
    ownership::CacheHandle,
};

use crate::support::fixture::{SESSION, id};

type Reply = Result<Option<Session>, LookupError>;
type Sent = Pin<Box<dyn Future<Output = u16>>>;

/// How a lookup ends.
#[derive(Clone, Copy, Debug)]
enum Gate {
    Mine,
    Elsewhere,
    Unknown,
    Fails,
    Never,
}

impl Gate {
    const ALL: [Self; 5] = [
        Self::Mine,
        Self::Elsewhere,
        Self::Unknown,
        Self::Fails,
        Self::Never,
    ];

    fn reply(self) -> Option<Reply> {
        let owned_by = |owner: &str| Session::owned_by(id(), owner.parse().unwrap());
        Some(match self {
            Self::Mine => Ok(Some(owned_by("me"))),
            Self::Elsewhere => Ok(Some(owned_by("other"))),
            Self::Unknown => Ok(None),
            Self::Fails => Err(LookupError::unavailable("down")),
            Self::Never => return None,
        })
    }

    fn status(self) -> u16 {
        match self {
            Self::Mine => 200,
            Self::Elsewhere => 409,
            Self::Unknown => 404,
            Self::Fails | Self::Never => 503,
        }
    }
}

/// When a client goes away.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Leaves {
    BeforeItIsPolled,
    WhileTheLookupIsUnderWay,
    WhenTheAnswerIsThere,
    WhileItIsServed,
}

impl Leaves {
    const ALL: [Self; 4] = [
        Self::BeforeItIsPolled,
        Self::WhileTheLookupIsUnderWay,
        Self::WhenTheAnswerIsThere,
        Self::WhileItIsServed,
    ];
}

struct Rig {
    send: Box<dyn Fn() -> Sent>,
    questions: Arc<Mutex<Vec<oneshot::Sender<Reply>>>>,
    asked: Arc<AtomicUsize>,
    /// Serves one held request per permit.
    serve: Arc<tokio::sync::Semaphore>,
    cache: CacheHandle,
}

fn rig(timeout: Duration) -> Rig {
    let questions = Arc::new(Mutex::new(Vec::new()));
    let asked = Arc::new(AtomicUsize::new(0));
    let serve = Arc::new(tokio::sync::Semaphore::new(0));
    let (open, count) = (Arc::clone(&questions), Arc::clone(&asked));
    let lookup = lookup_fn(move |_| {
        let (answer, answered) = oneshot::channel();
        open.lock().unwrap().push(answer);
        count.fetch_add(1, Ordering::SeqCst);
        async move { answered.await.unwrap() }
    });
    let layer = OwnershipLayer::builder(lookup)
        .session(PathSegment::after("/session").unwrap())
        .machine("me".parse::<MachineId>().unwrap())
        .replay(FlyReplay::new())
        .lookup_timeout(timeout)
        .build()
        .unwrap();
    let permits = Arc::clone(&serve);
    let service = layer.layer(service_fn(move |_: Request<String>| {
        let permits = Arc::clone(&permits);
        async move {
            permits.acquire().await.unwrap().forget();
            Ok::<_, Infallible>(Response::new(String::new()))
        }
    }));
    let send = move || -> Sent {
        let request = Request::get(format!("/session/{SESSION}"))
            .body(String::new())
            .unwrap();
        let mut service = service.clone();
        let _ = service.poll_ready(&mut Context::from_waker(Waker::noop()));
        let response = service.call(request);
        Box::pin(async move { response.await.unwrap().status().as_u16() })
    };
    Rig {
        send: Box::new(send),
        questions,
        asked,
        serve,
        cache: layer.cache(),
    }
}

impl Rig {
    fn under_way(&self) -> bool {
        !format!("{:?}", self.cache).contains("under_way: 0")
    }
}

fn poll(sent: &mut Sent) -> Poll<u16> {
    sent.as_mut().poll(&mut Context::from_waker(Waker::noop()))
}

/// One client goes away at some moment; another one waits for the same session.
async fn leave(gate: Gate, leaves: Leaves, leader: bool) {
    let timeout = if matches!(gate, Gate::Never) {
        30
    } else {
        60_000
    };
    let rig = rig(Duration::from_millis(timeout));
    let (first, second) = ((rig.send)(), (rig.send)());
    let (mut goes, mut stays) = if leader {
        (first, second)
    } else {
        (second, first)
    };
    // Who is polled first drives the lookup.
    if leaves != Leaves::BeforeItIsPolled {
        let order = if leader {
            [&mut goes, &mut stays]
        } else {
            [&mut stays, &mut goes]
        };
        for sent in order {
            assert!(poll(sent).is_pending());
        }
    }
    match leaves {
        Leaves::BeforeItIsPolled | Leaves::WhileTheLookupIsUnderWay => drop(goes),
        Leaves::WhenTheAnswerIsThere => {
            answer(&rig, gate);
            drop(goes);
        }
        Leaves::WhileItIsServed => {
            answer(&rig, gate);
            let _ = poll(&mut goes);
            drop(goes);
        }
    }
    rig.serve.add_permits(1);
    let status = match poll(&mut stays) {
        Poll::Ready(status) => status,
        Poll::Pending => {
            answer(&rig, gate);
            stays.await
        }
    };
    assert_eq!(status, gate.status());
    assert_eq!(
        rig.asked.load(Ordering::SeqCst),
        1,
        "whoever is left drives the one lookup"
    );
    assert!(!rig.under_way(), "{:?}", rig.cache);
}

fn answer(rig: &Rig, gate: Gate) {
    let Some(reply) = gate.reply() else { return };
    for question in rig.questions.lock().unwrap().drain(..) {
        let _ = question.send(reply.clone());
    }
}

#[tokio::test]
async fn a_client_that_leaves_at_any_moment_costs_nobody_an_answer() {
    for gate in Gate::ALL {
        for leaves in Leaves::ALL {
            for leader in [true, false] {
                println!("{gate:?}, {leaves:?}, leader: {leader}");
                leave(gate, leaves, leader).await;
            }
        }
    }
}

#[tokio::test]
async fn when_everybody_leaves_nothing_is_left_behind() {
    for gate in Gate::ALL {
        for polled in [false, true] {
            let rig = rig(Duration::from_secs(60));
            let mut crowd: Vec<_> = (0..100).map(|_| (rig.send)()).collect();
            if polled {
                assert!(crowd.iter_mut().all(|sent| poll(sent).is_pending()));
            }
            assert!(rig.under_way());
            drop(crowd);
            assert!(!rig.under_way());
            let open: Vec<_> = rig.questions.lock().unwrap().drain(..).collect();
            assert_eq!(open.len(), usize::from(polled));
            assert!(
                open.iter().all(oneshot::Sender::is_closed),
                "{gate:?}: the lookup is dropped"
            );
        }
    }
}

#[tokio::test]
async fn a_request_that_leaves_while_it_is_served_takes_its_application_along() {
    let rig = rig(Duration::from_secs(60));
    let mut sent = (rig.send)();
    assert!(poll(&mut sent).is_pending());
    answer(&rig, Gate::Mine);
    assert!(poll(&mut sent).is_pending(), "the application holds it");
    drop(sent);
    rig.serve.add_permits(1);
    assert_eq!(
        rig.serve.available_permits(),
        1,
        "nobody is there to take it"
    );
    assert_eq!((rig.send)().await, 200, "the session is remembered");
    assert_eq!(rig.asked.load(Ordering::SeqCst), 1);
}
