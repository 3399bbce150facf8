//! The application behind the gateway: a server of our own that keeps the exact bytes of each request and answers with what it saw.
//! It is no HTTP library's, because a library would tidy up what the tests must see.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::AbortHandle,
};

use super::{
    BACKSTAGE,
    answer::{self, Framing},
    eventually,
    script::{Script, Step},
    wire::pattern,
};

/// How much of a body is kept; the rest is counted and compared with the test pattern.
const KEPT: usize = 64 * 1024;

pub(crate) struct Recorder {
    pub(crate) address: SocketAddr,
    state: Arc<State>,
    task: AbortHandle,
}

#[derive(Default)]
struct State {
    requests: Mutex<Vec<Recorded>>,
    scripts: Mutex<HashMap<String, Script>>,
    violations: Mutex<Vec<String>>,
    opened: AtomicUsize,
    open: AtomicUsize,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Recorded {
    pub(crate) head: Vec<u8>,
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) trailers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) body_length: u64,
    pub(crate) body_is_pattern: bool,
    /// Whether the whole body arrived.
    pub(crate) complete: bool,
    pub(crate) connection: usize,
}

impl Recorder {
    pub(crate) fn start() -> Self {
        let state = Arc::new(State::default());
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::clone(&state);
        let task = BACKSTAGE.spawn(async move {
            let listener = TcpListener::from_std(listener).unwrap();
            while let Ok((stream, _)) = listener.accept().await {
                let number = shared.opened.fetch_add(1, Ordering::SeqCst) + 1;
                let shared = Arc::clone(&shared);
                shared.open.fetch_add(1, Ordering::SeqCst);
                drop(tokio::spawn(async move {
                    // An error here is the other side going away, which is what some tests are about.
                    drop(Connection { stream, received: Vec::new(), number }.serve(&shared).await);
                    shared.open.fetch_sub(1, Ordering::SeqCst);
                }));
            }
        });
        Self { address, state, task: task.abort_handle() }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Requests for exactly this target get this script instead of the echo.
    pub(crate) fn on(&self, target: &str, script: Script) {
        self.state.scripts.lock().unwrap().insert(target.to_owned(), script);
    }

    pub(crate) fn requests(&self) -> Vec<Recorded> {
        self.state.requests.lock().unwrap().clone()
    }

    pub(crate) fn count(&self) -> usize {
        self.state.requests.lock().unwrap().len()
    }

    pub(crate) fn requests_for(&self, target: &str) -> Vec<Recorded> {
        self.requests().into_iter().filter(|request| request.target == target).collect()
    }

    /// How many connections the gateway has opened so far.
    pub(crate) fn connections_opened(&self) -> usize {
        self.state.opened.load(Ordering::SeqCst)
    }

    pub(crate) fn connections_open(&self) -> usize {
        self.state.open.load(Ordering::SeqCst)
    }

    pub(crate) async fn sees(&self, target: &str) {
        eventually(&format!("a request for {target}"), || !self.requests_for(target).is_empty())
            .await;
    }

    /// Faults in what the gateway sent: none may ever be.
    pub(crate) fn violations(&self) -> Vec<String> {
        self.state.violations.lock().unwrap().clone()
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Connection {
    stream: TcpStream,
    received: Vec<u8>,
    number: usize,
}

enum End {
    Open,
    Closed,
}

impl Connection {
    async fn serve(mut self, state: &State) -> std::io::Result<()> {
        self.stream.set_nodelay(true)?;
        while let Some(head) = self.read_head(state).await? {
            let mut request = match read_request(&head) {
                Ok(request) => request,
                Err(fault) => {
                    state
                        .violations
                        .lock()
                        .unwrap()
                        .push(format!("{fault} in {:?}", String::from_utf8_lossy(&head)));
                    return Ok(());
                }
            };
            request.connection = self.number;
            let script = state
                .scripts
                .lock()
                .unwrap()
                .get(&request.target)
                .cloned()
                .unwrap_or_else(|| Script::echo_with(""));
            let place = {
                let mut requests = state.requests.lock().unwrap();
                requests.push(request);
                requests.len() - 1
            };
            if script.reads_body_first {
                self.read_body(state, place).await?;
            }
            for step in &script.steps {
                match self.act(step, state, place).await? {
                    End::Open => {}
                    End::Closed => return Ok(()),
                }
            }
        }
        Ok(())
    }

    async fn act(&mut self, step: &Step, state: &State, place: usize) -> std::io::Result<End> {
        match step {
            Step::Echo(lines) => {
                let request = state.requests.lock().unwrap()[place].clone();
                self.stream.write_all(&echo(&request, lines)).await?;
            }
            Step::Send(bytes) => self.stream.write_all(bytes).await?,
            Step::Hold(latch) => latch.wait().await,
            Step::ReadBody => self.read_body(state, place).await?,
            Step::Stream(length) => self.stream_pattern(*length).await?,
            Step::StreamChunked(length) => self.stream_chunks(*length).await?,
            Step::Tunnel => {
                self.tunnel().await?;
                return Ok(End::Closed);
            }
            Step::Stall => {
                while self.receive().await? > 0 {}
                return Ok(End::Closed);
            }
            Step::Close => return Ok(End::Closed),
            Step::Reset => {
                socket2::SockRef::from(&self.stream).set_linger(Some(Duration::ZERO))?;
                return Ok(End::Closed);
            }
        }
        Ok(End::Open)
    }

    async fn receive(&mut self) -> std::io::Result<usize> {
        self.received.reserve(KEPT);
        self.stream.read_buf(&mut self.received).await
    }

    async fn read_head(&mut self, state: &State) -> std::io::Result<Option<Vec<u8>>> {
        loop {
            if let Some(length) = memchr::memmem::find(&self.received, b"\r\n\r\n") {
                return Ok(Some(self.received.drain(..length + 4).collect()));
            }
            if self.receive().await? == 0 {
                if !self.received.is_empty() {
                    let rest = String::from_utf8_lossy(&self.received).into_owned();
                    state
                        .violations
                        .lock()
                        .unwrap()
                        .push(format!("bytes that are no request: {rest:?}"));
                }
                return Ok(None);
            }
        }
    }

    /// Reads the body as its head promised, in constant memory.
    async fn read_body(&mut self, state: &State, place: usize) -> std::io::Result<()> {
        let promised =
            answer::promised(&state.requests.lock().unwrap()[place].headers).ok().flatten();
        let mut body = Body { kept: Vec::new(), length: 0, is_pattern: true };
        let mut trailers = Vec::new();
        let complete = match promised {
            None | Some(Framing::None | Framing::UntilClose) => true,
            Some(Framing::Length(length)) => self.take(length, &mut body).await?,
            Some(Framing::Chunked) => match self.take_chunks(&mut body).await? {
                Ok(Some(fields)) => {
                    trailers = fields;
                    true
                }
                Ok(None) => false,
                Err(fault) => {
                    state.violations.lock().unwrap().push(fault);
                    false
                }
            },
        };
        let mut requests = state.requests.lock().unwrap();
        let request = &mut requests[place];
        request.body = body.kept;
        request.body_length = body.length;
        request.body_is_pattern = body.is_pattern;
        request.trailers = trailers;
        request.complete = complete;
        if complete { Ok(()) } else { Err(std::io::ErrorKind::UnexpectedEof.into()) }
    }

    async fn take(&mut self, length: u64, body: &mut Body) -> std::io::Result<bool> {
        let mut left = length;
        while left > 0 {
            if self.received.is_empty() && self.receive().await.unwrap_or(0) == 0 {
                return Ok(false);
            }
            let count = self.received.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            body.add(&self.received[..count]);
            drop(self.received.drain(..count));
            left -= count as u64;
        }
        Ok(true)
    }

    async fn take_line(&mut self) -> std::io::Result<Option<Vec<u8>>> {
        loop {
            if let Some(length) = memchr::memmem::find(&self.received, b"\r\n") {
                let line = self.received.drain(..length + 2).take(length).collect();
                return Ok(Some(line));
            }
            if self.receive().await.unwrap_or(0) == 0 {
                return Ok(None);
            }
        }
    }

    async fn take_chunks(
        &mut self,
        body: &mut Body,
    ) -> std::io::Result<Result<Option<Vec<(String, String)>>, String>> {
        loop {
            let Some(line) = self.take_line().await? else { return Ok(Ok(None)) };
            let size = match answer::chunk_size(&line) {
                Ok(size) => size,
                Err(fault) => return Ok(Err(fault)),
            };
            if size == 0 {
                break;
            }
            if !self.take(size as u64, body).await? {
                return Ok(Ok(None));
            }
            match self.take_line().await? {
                Some(line) if line.is_empty() => {}
                Some(_) => return Ok(Err("a chunk that does not end with CRLF".to_owned())),
                None => return Ok(Ok(None)),
            }
        }
        let mut lines = String::new();
        loop {
            let Some(line) = self.take_line().await? else { return Ok(Ok(None)) };
            if line.is_empty() {
                return Ok(answer::read_fields(&lines).map(Some));
            }
            lines.extend(line.iter().map(|&byte| char::from(byte)));
            lines.push_str("\r\n");
        }
    }

    async fn stream_pattern(&mut self, length: u64) -> std::io::Result<()> {
        let mut at = 0;
        while at < length {
            let block: Vec<u8> = (at..length.min(at + KEPT as u64)).map(pattern).collect();
            self.stream.write_all(&block).await?;
            at += block.len() as u64;
        }
        Ok(())
    }

    async fn stream_chunks(&mut self, length: u64) -> std::io::Result<()> {
        let mut at = 0;
        while at < length {
            let data: Vec<u8> = (at..length.min(at + 7919)).map(pattern).collect();
            let mut block = format!("{:x}\r\n", data.len()).into_bytes();
            block.extend_from_slice(&data);
            block.extend_from_slice(b"\r\n");
            self.stream.write_all(&block).await?;
            at += data.len() as u64;
        }
        self.stream.write_all(b"0\r\n\r\n").await
    }

    async fn tunnel(&mut self) -> std::io::Result<()> {
        loop {
            let mut bytes = std::mem::take(&mut self.received);
            bytes.make_ascii_uppercase();
            self.stream.write_all(&bytes).await?;
            if self.receive().await? == 0 {
                return Ok(());
            }
        }
    }
}

struct Body {
    kept: Vec<u8>,
    length: u64,
    is_pattern: bool,
}

impl Body {
    fn add(&mut self, bytes: &[u8]) {
        self.is_pattern &= bytes.iter().zip(self.length..).all(|(&byte, at)| byte == pattern(at));
        let room = KEPT.saturating_sub(self.kept.len()).min(bytes.len());
        self.kept.extend_from_slice(&bytes[..room]);
        self.length += bytes.len() as u64;
    }
}

/// Reads what the gateway sent as strictly as what it answers: it has no excuse for anything odd.
fn read_request(head: &[u8]) -> Result<Recorded, String> {
    let text: String = head[..head.len() - 2].iter().map(|&byte| char::from(byte)).collect();
    let (line, fields) = text.split_once("\r\n").ok_or("no request line")?;
    let parts: Vec<&str> = line.split(' ').collect();
    let [method, target, "HTTP/1.1"] = parts.as_slice() else {
        return Err(format!("not a request line: {line:?}"));
    };
    if method.is_empty()
        || !target.starts_with(['/', '*'])
        || target.bytes().any(|byte| byte < 0x21)
    {
        return Err(format!("not a request line: {line:?}"));
    }
    let headers = answer::read_fields(fields)?;
    answer::promised(&headers)?;
    if headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("host")).count() != 1 {
        return Err("not exactly one Host".to_owned());
    }
    Ok(Recorded {
        head: head.to_vec(),
        method: (*method).to_owned(),
        target: (*target).to_owned(),
        headers,
        ..Recorded::default()
    })
}

fn echo(request: &Recorded, lines: &str) -> Vec<u8> {
    let body = json!({
        "method": request.method,
        "target": request.target,
        "headers": request.headers,
        "trailers": request.trailers,
        "body": String::from_utf8_lossy(&request.body),
        "body_length": request.body_length,
        "connection": request.connection,
    })
    .to_string();
    let mut answer = format!("HTTP/1.1 200 OK\r\nX-Echo: 1\r\nContent-Type: application/json\r\nContent-Length: {}\r\n{lines}\r\n", body.len()).into_bytes();
    if request.method != "HEAD" {
        answer.extend_from_slice(body.as_bytes());
    }
    answer
}
