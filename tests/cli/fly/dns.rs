//! The DNS server of a private network: TXT records over UDP.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use hickory_resolver::proto::op::{Message, MessageType, ResponseCode};
use hickory_resolver::proto::rr::rdata::TXT;
use hickory_resolver::proto::rr::{RData, Record, RecordType};
use tokio::net::UdpSocket;
use tokio::task::JoinHandle;

pub struct PrivateDns {
    addr: SocketAddr,
    records: Arc<Mutex<HashMap<String, String>>>,
    task: JoinHandle<()>,
}

impl PrivateDns {
    pub async fn start() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let addr = socket.local_addr().unwrap();
        let records = Arc::<Mutex<HashMap<String, String>>>::default();
        let served = Arc::clone(&records);
        let task = tokio::spawn(async move {
            let mut buffer = [0; 4096];
            loop {
                let (length, client) = socket.recv_from(&mut buffer).await.unwrap();
                let question = Message::from_vec(&buffer[..length]).unwrap();
                let answer = answer(&question, &served.lock().unwrap());
                socket
                    .send_to(&answer.to_vec().unwrap(), client)
                    .await
                    .unwrap();
            }
        });
        Self {
            addr,
            records,
            task,
        }
    }

    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The text of a name, which ends with a dot.
    pub fn put(&self, name: &str, text: &str) {
        let mut records = self.records.lock().unwrap();
        records.insert(name.to_owned(), text.to_owned());
    }
}

impl Drop for PrivateDns {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn answer(question: &Message, records: &HashMap<String, String>) -> Message {
    let mut answer = Message::response(question.metadata.id, question.metadata.op_code);
    answer.metadata.message_type = MessageType::Response;
    answer.metadata.authoritative = true;
    answer.metadata.recursion_desired = question.metadata.recursion_desired;
    let mut code = ResponseCode::NXDomain;
    for query in &question.queries {
        answer.add_query(query.clone());
        let text = records.get(&query.name().to_string());
        if let (Some(text), RecordType::TXT) = (text, query.query_type()) {
            code = ResponseCode::NoError;
            // A string of a record has at most 255 bytes.
            let parts = text.as_bytes().chunks(255);
            let parts = parts.map(|part| String::from_utf8(part.to_vec()).unwrap());
            let text = RData::TXT(TXT::new(parts.collect()));
            answer.add_answer(Record::from_rdata(query.name().clone(), 5, text));
        }
    }
    answer.metadata.response_code = code;
    answer
}
