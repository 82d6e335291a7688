//! Machines that read two directories: the one that does not find the session learns which directory the one
//! reads that did, however the request comes.

use std::sync::{Arc, Mutex};

use axum::Router;
use tower_ownership::directory::DirectoryId;
use tower_ownership::forward::Forward;
use tower_ownership::{
    Address, LookupError, MemoryDirectory, NginxReplay, OwnershipLayer, OwnershipLayerBuilder,
    PathSegment, Session, SessionId, SessionLookup, observe::Observed,
};

use crate::application::Application;
use crate::fleet::{OWNER, Server, WRONG, machine_id, new_session};
use crate::nginx::LOOPBACK;
use crate::support::client::{Answer, request, send};
use crate::support::left_out;
use crate::support::nginx::Nginx;

/// A directory with an id.
struct Directory {
    sessions: MemoryDirectory,
    id: &'static str,
}

impl SessionLookup for Directory {
    async fn session(&self, id: SessionId) -> Result<Option<Session>, LookupError> {
        self.sessions.session(id).await
    }

    fn directory_id(&self) -> Option<DirectoryId> {
        DirectoryId::parse(self.id)
    }
}

/// Which directory a machine reads, and which one the machine before.
type Read = Arc<Mutex<Vec<[Option<DirectoryId>; 2]>>>;

fn builder(machine: &str, sessions: &MemoryDirectory, id: &'static str) -> OwnershipLayerBuilder {
    let sessions = sessions.clone();
    OwnershipLayer::builder(Directory { sessions, id })
        .session(PathSegment::after("/session").unwrap())
        .machine(machine_id(machine))
}

/// The owner, whose directory does not know the session.
fn owner(read: &Read) -> OwnershipLayerBuilder {
    let read = Arc::clone(read);
    let owner = builder(OWNER, &MemoryDirectory::new(), "bbbbbbbb");
    owner.on_verdict(move |seen: &Observed<'_>| {
        let both = [seen.directory, seen.sender_directory];
        read.lock().unwrap().push(both);
    })
}

fn application(machine: &'static str) -> Router {
    Application::on(machine).router()
}

fn owned_at(session: &SessionId, owner: &Server) -> Session {
    let address = Address::parse(&owner.url("")).unwrap();
    Session::owned_by(session.clone(), machine_id(OWNER)).with_address(address)
}

/// What a client gets that says which directory was read.
async fn lying(url: String) -> Answer {
    let asked = request(reqwest::Method::GET, url);
    send(asked.header("x-owner-directory", "cccccccc")).await
}

fn is_asked_about(read: &Read) {
    let both = ["bbbbbbbb", "aaaaaaaa"].map(DirectoryId::parse);
    assert_eq!(*read.lock().unwrap(), [both]);
}

#[tokio::test]
async fn a_forwarded_request_carries_which_directory_was_read() {
    let (sessions, session, read) = (MemoryDirectory::new(), new_session(), Read::default());
    let forward = || Forward::to_owner_address(["127.0.0.0/8"]).unwrap();
    let layer = owner(&read).forward(forward()).build().unwrap();
    let owner = Server::start(application(OWNER).layer(layer)).await;
    let layer = builder(WRONG, &sessions, "aaaaaaaa").forward(forward());
    let wrong = Server::start(application(WRONG).layer(layer.build().unwrap())).await;
    sessions.insert(owned_at(&session, &owner));
    let answer = lying(wrong.url(&format!("/session/{session}"))).await;
    answer.is_refused(404, "session-unknown");
    is_asked_about(&read);
}

#[tokio::test]
async fn a_request_through_nginx_carries_which_directory_was_read() {
    let (sessions, session, read) = (MemoryDirectory::new(), new_session(), Read::default());
    let layer = owner(&read).replay(NginxReplay::new()).build().unwrap();
    let owner = Server::start(application(OWNER).layer(layer)).await;
    let layer = builder(WRONG, &sessions, "aaaaaaaa").replay(NginxReplay::new());
    let wrong = Server::start(application(WRONG).layer(layer.build().unwrap())).await;
    sessions.insert(owned_at(&session, &owner));
    let Some(nginx) = Nginx::start(&[wrong.addr], LOOPBACK) else {
        return left_out("a directory that nginx carries", "nginx is not installed");
    };
    let answer = lying(nginx.url(&format!("/session/{session}"))).await;
    answer.is_refused(404, "session-unknown");
    is_asked_about(&read);
}
