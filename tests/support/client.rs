//! Clients: a usual one, and one that sends whatever bytes it is told to.

use std::net::SocketAddr;
use std::time::Duration;

use http::HeaderMap;
use reqwest::{Method, RequestBuilder, Response};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Long for what should take milliseconds, short for somebody who waits.
pub const SOON: Duration = Duration::from_secs(20);

pub const HTML: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

/// A client that follows no redirect and believes no environment.
pub fn client() -> reqwest::Client {
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .timeout(SOON)
        .build()
        .unwrap()
}

pub fn request(method: Method, url: String) -> RequestBuilder {
    client().request(method, url)
}

/// An answer that was read to its end.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub text: String,
}

impl Answer {
    pub async fn of(response: Response) -> Self {
        Self {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            text: response.text().await.unwrap(),
        }
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The code of a refusal; `None` for what is none.
    pub fn code(&self) -> Option<&str> {
        self.header("ownership-code")
    }

    pub fn is_served_by(&self, machine: &str) {
        assert_eq!(self.status, 200, "{self:?}");
        assert_eq!(self.json()["machine"], machine);
    }

    pub fn is_refused(&self, status: u16, code: &str) {
        assert_eq!((self.status, self.code()), (status, Some(code)), "{self:?}");
    }
}

pub async fn send(request: RequestBuilder) -> Answer {
    Answer::of(request.send().await.unwrap()).await
}

pub async fn get(url: String) -> Answer {
    send(request(Method::GET, url)).await
}

/// Sends exactly these bytes and nothing more, and reads one answer.
pub async fn raw(addr: SocketAddr, bytes: &[u8]) -> Answer {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    timeout(SOON, answer(&mut stream)).await.expect("an answer")
}

/// Sends exactly these bytes, and reads the statuses of all answers up to the connection's end.
pub async fn statuses(addr: SocketAddr, bytes: &[u8]) -> Vec<u16> {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut read = Vec::new();
    let end = timeout(SOON, stream.read_to_end(&mut read)).await;
    end.expect("the connection's end").unwrap();
    let text = String::from_utf8_lossy(&read);
    // An answer may begin right behind the body of the one before it.
    let answers = text.split("HTTP/1.1 ").skip(1);
    answers.map(|answer| answer[..3].parse().unwrap()).collect()
}

/// Reads one answer, by its length if it tells that, otherwise up to the end of the connection.
async fn answer(stream: &mut TcpStream) -> Answer {
    let mut read = Vec::new();
    let head = loop {
        if let Some(end) = read.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
        assert_ne!(stream.read_buf(&mut read).await.unwrap(), 0, "no head");
    };
    let text = String::from_utf8(read[..head].to_vec()).unwrap();
    let mut lines = text.lines();
    let status = lines.next().unwrap().split(' ').nth(1).unwrap();
    let headers: HeaderMap = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
        .collect::<Vec<(http::HeaderName, http::HeaderValue)>>()
        .into_iter()
        .collect();
    let length = headers
        .get("content-length")
        .map(|length| length.to_str().unwrap().parse::<usize>().unwrap());
    while length.is_none_or(|length| read.len() < head + length) {
        if stream.read_buf(&mut read).await.unwrap() == 0 {
            break;
        }
    }
    // What follows belongs to the next answer.
    let end = length.map_or(read.len(), |length| head + length);
    Answer {
        status: status.parse().unwrap(),
        headers,
        text: String::from_utf8_lossy(&read[head..end]).into_owned(),
    }
}
