//! Where letters go: a directory that a gateway writes them into, or a mail server that takes or refuses them.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::PathBuf,
    sync::{Arc, Mutex},
};

use base64ct::{Base64, Encoding};

use super::{DEADLINE, eventually, gate::Gate};

/// A letter as its reader sees it.
#[derive(Debug, Clone)]
pub(crate) struct Letter {
    pub(crate) to: String,
    pub(crate) subject: String,
    pub(crate) text: String,
    pub(crate) head: String,
}

impl Letter {
    pub(crate) fn read(message: &str) -> Self {
        let (head, body) = message.split_once("\r\n\r\n").unwrap();
        let field = |name: &str| {
            let all: Vec<_> = head
                .split("\r\n")
                .filter_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
                .collect();
            assert_eq!(all.len(), 1, "`{name}` in {head}");
            all[0].to_owned()
        };
        let text = match field("Content-Transfer-Encoding").as_str() {
            "7bit" => body.to_owned(),
            "base64" => {
                let bytes = Base64::decode_vec(&body.replace("\r\n", "")).unwrap();
                String::from_utf8(bytes).unwrap()
            }
            "quoted-printable" => quoted_printable(body),
            other => panic!("the encoding `{other}`"),
        };
        let text = text.replace("\r\n", "\n");
        Self { to: field("To"), subject: field("Subject"), text, head: head.to_owned() }
    }

    /// The address on a line of its own.
    #[track_caller]
    pub(crate) fn link(&self) -> String {
        let link = self.text.lines().find(|line| line.contains("://") && !line.contains(' '));
        link.unwrap_or_else(|| panic!("no link in {self:?}")).to_owned()
    }

    /// Its path, which a browser asks the gateway for that the test has.
    #[track_caller]
    pub(crate) fn path(&self, site: &str) -> String {
        let link = self.link();
        link.strip_prefix(site).unwrap_or_else(|| panic!("`{link}` is not on {site}")).to_owned()
    }
}

fn quoted_printable(body: &str) -> String {
    let joined = body.replace("=\r\n", "");
    let (mut bytes, mut rest) = (Vec::new(), joined.as_bytes());
    while let Some((&byte, after)) = rest.split_first() {
        if byte == b'=' {
            let digits = std::str::from_utf8(&after[..2]).unwrap();
            bytes.push(u8::from_str_radix(digits, 16).unwrap());
            rest = &after[2..];
        } else {
            bytes.push(byte);
            rest = after;
        }
    }
    String::from_utf8(bytes).unwrap()
}

impl Gate {
    /// The letters that were written into `out/`, the oldest first.
    pub(crate) fn letters(&self) -> Vec<Letter> {
        let Ok(entries) = fs::read_dir(self.directory().join("out")) else { return Vec::new() };
        let mut paths: Vec<PathBuf> = entries
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "eml"))
            .collect();
        paths.sort_by_key(|path| (fs::metadata(path).unwrap().modified().unwrap(), path.clone()));
        paths.iter().map(|path| Letter::read(&fs::read_to_string(path).unwrap())).collect()
    }

    /// Waits for so many letters in all.
    pub(crate) async fn gets_letters(&self, number: usize) -> Vec<Letter> {
        eventually(&format!("{number} letters"), || self.letters().len() >= number).await;
        let letters = self.letters();
        assert_eq!(letters.len(), number, "{letters:?}");
        letters
    }
}

/// A mail server without TLS, as on the same machine.
pub(crate) struct MailServer {
    letters: Arc<Mutex<Vec<Letter>>>,
}

/// An address where nobody listens, for a server that is down.
pub(crate) fn no_server() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

impl MailServer {
    /// Listens from now on; to `refused` it takes no letters.
    pub(crate) fn start(address: SocketAddr, refused: &'static str) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        let letters = Arc::new(Mutex::default());
        let taken = Arc::clone(&letters);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                // A client that goes away in the middle is its own affair.
                drop(serve(stream, refused, &taken));
            }
        });
        Self { letters }
    }

    pub(crate) fn letters(&self) -> Vec<Letter> {
        self.letters.lock().unwrap().clone()
    }
}

fn serve(
    mut stream: TcpStream,
    refused: &str,
    letters: &Mutex<Vec<Letter>>,
) -> std::io::Result<()> {
    stream.set_read_timeout(Some(DEADLINE))?;
    let mut lines = BufReader::new(stream.try_clone()?);
    stream.write_all(b"220 mail.example ESMTP\r\n")?;
    loop {
        let mut line = String::new();
        if lines.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let word = line.get(..4).unwrap_or_default().to_ascii_uppercase();
        let answer: &[u8] = match word.as_str() {
            "EHLO" => b"250-mail.example\r\n250 8BITMIME\r\n",
            "RCPT" if line.contains(refused) => b"550 5.1.1 no such mailbox\r\n",
            "DATA" => {
                stream.write_all(b"354 go ahead\r\n")?;
                let mut message = String::new();
                loop {
                    let mut line = String::new();
                    lines.read_line(&mut line)?;
                    if line == ".\r\n" || line.is_empty() {
                        break;
                    }
                    message.push_str(line.strip_prefix('.').unwrap_or(&line));
                }
                letters.lock().unwrap().push(Letter::read(&message));
                b"250 taken\r\n"
            }
            "QUIT" => {
                stream.write_all(b"221 bye\r\n")?;
                return Ok(());
            }
            _ => b"250 fine\r\n",
        };
        stream.write_all(answer)?;
    }
}
