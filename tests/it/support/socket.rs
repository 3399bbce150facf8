//! The admin socket, spoken to as a program on the same machine does.

use std::path::Path;

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
    time::timeout,
};

use super::{
    DEADLINE,
    answer::{self, Answer, Reading},
};

/// One request over the socket in the state directory of `home`, with a JSON body.
pub(crate) async fn asks_socket(home: &Path, method: &str, path: &str, body: &str) -> Answer {
    let mut stream = UnixStream::connect(home.join("var/vestibule.sock")).await.unwrap();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(body.as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    timeout(DEADLINE, stream.read_to_end(&mut bytes)).await.unwrap().unwrap();
    match answer::read(&bytes, method, true).unwrap_or_else(|error| panic!("{path}: {error}")) {
        Reading::Whole(answer, _) => *answer,
        Reading::More => panic!("{method} {path}: closed instead of answered"),
    }
}

impl Answer {
    /// The JSON of the answer, whatever its status.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}
