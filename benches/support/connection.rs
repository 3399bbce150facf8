//! One keep-alive connection of a client, for what wrk cannot do: log in, look at an answer.

use std::net::SocketAddr;

use bytes::Bytes;
use http::header::{HeaderMap, HeaderName, HeaderValue, SET_COOKIE};
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::Result;

/// An open connection. Its requests go one after the other.
pub(crate) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    address: SocketAddr,
}

/// An answer that has arrived as a whole.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> Result<Connection> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        // A broken connection shows in the answer that does not come.
        tokio::spawn(async { connection.await.ok() });
        Ok(Connection { sender, address })
    }

    pub(crate) async fn get(&mut self, path: &str, cookie: &str) -> Result<Answer> {
        self.send(Method::GET, path, cookie, Bytes::new()).await
    }

    pub(crate) async fn post(&mut self, path: &str, cookie: &str, form: String) -> Result<Answer> {
        self.send(Method::POST, path, cookie, form.into()).await
    }

    /// Sends what a browser would: the origin, and a form's type.
    async fn send(
        &mut self,
        method: Method,
        path: &str,
        cookie: &str,
        body: Bytes,
    ) -> Result<Answer> {
        let mut request = Request::builder()
            .method(&method)
            .uri(path)
            .header("Host", self.address.to_string())
            .header("Accept", "text/html,*/*;q=0.8");
        if !cookie.is_empty() {
            request = request.header("Cookie", cookie);
        }
        if method == Method::POST {
            request = request
                .header("Content-Type", "application/x-www-form-urlencoded")
                .header("Origin", format!("http://{}", self.address))
                .header("Referer", format!("http://{}{path}", self.address));
        }
        self.sender.ready().await?;
        let (head, body) =
            self.sender.send_request(request.body(Full::new(body))?).await?.into_parts();
        Ok(Answer {
            status: head.status,
            headers: head.headers,
            body: body.collect().await?.to_bytes(),
        })
    }
}

impl Answer {
    pub(crate) fn header(&self, name: HeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The `name=value` of each cookie the answer sets.
    pub(crate) fn cookies(&self) -> impl Iterator<Item = &str> {
        let values = self.headers.get_all(SET_COOKIE).iter();
        values.filter_map(|value: &HeaderValue| value.to_str().ok()?.split(';').next())
    }

    /// Who reads this wants to know what came instead of what was expected.
    pub(crate) fn describe(&self) -> String {
        let text = String::from_utf8_lossy(&self.body);
        let start: String =
            text.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(300).collect();
        format!("{}: {start}", self.status)
    }
}
