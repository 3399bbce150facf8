//! Redis with as many sessions: the usual store of sessions that outlast a process.

use std::io::BufRead as _;
use std::io::{BufReader, BufWriter, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use crate::support::process::{self, Running, free_address};
use crate::support::workspace::Workspace;
use crate::support::{Result, now, usage};

/// What a session takes in it, beside its key: as much as Django's own have for a login.
const VALUE: usize = 120;

/// What was measured of it.
pub(crate) struct Redis {
    /// Resident bytes for each session.
    pub(crate) resident: f64,
    pub(crate) save_seconds: f64,
    pub(crate) file_bytes: u64,
    /// From its start until it answers.
    pub(crate) start_seconds: f64,
}

/// Fills a Redis, saves it, and starts it from what it saved; `None` when none is installed.
pub(crate) fn measure(workspace: &Workspace, count: usize) -> Result<Option<Redis>> {
    let Some(program) = process::find("redis-server") else { return Ok(None) };
    let address = free_address()?;
    let directory = workspace.directory("redis")?;
    let start = |log: &str| -> Result<Running> {
        let mut command = process::program(&program, &None)?;
        command.arg("--port").arg(address.port().to_string()).arg("--bind").arg("127.0.0.1");
        command.args(["--save", "", "--appendonly", "no", "--dir"]).arg(&directory);
        let mut running = Running::start("redis-server", command, directory.join(log))?;
        running.wait_for_listener(address)?;
        Ok(running)
    };
    let running = start("first.log")?;
    let mut connection = Connection::open(address)?;
    connection.ask(&["PING"])?;
    let empty = usage::resident(running.id())?;
    connection.fill(count)?;
    let resident = (usage::resident(running.id())? - empty) as f64 / count as f64;
    let begun = now();
    connection.ask(&["SAVE"])?;
    let save_seconds = begun.elapsed().as_secs_f64();
    let file_bytes = directory.join("dump.rdb").metadata()?.len();
    drop(running);

    let begun = now();
    let _running = start("second.log")?;
    // It listens while it still loads, and says so.
    while !Connection::open(address)?.ask(&["PING"])?.starts_with("+PONG") {
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    let start_seconds = begun.elapsed().as_secs_f64();
    let size = Connection::open(address)?.ask(&["DBSIZE"])?;
    if size != format!(":{count}") {
        return Err(format!("Redis has `{size}` of {count} sessions").into());
    }
    Ok(Some(Redis { resident, save_seconds, file_bytes, start_seconds }))
}

struct Connection {
    reader: BufReader<TcpStream>,
    writer: BufWriter<TcpStream>,
}

impl Connection {
    fn open(address: SocketAddr) -> Result<Connection> {
        let stream = TcpStream::connect(address)?;
        let reader = BufReader::new(stream.try_clone()?);
        Ok(Connection { reader, writer: BufWriter::new(stream) })
    }

    fn ask(&mut self, command: &[&str]) -> Result<String> {
        self.send(command)?;
        self.writer.flush()?;
        self.answer()
    }

    fn send(&mut self, command: &[&str]) -> Result<()> {
        write!(self.writer, "*{}\r\n", command.len())?;
        for part in command {
            write!(self.writer, "${}\r\n{part}\r\n", part.len())?;
        }
        Ok(())
    }

    fn answer(&mut self) -> Result<String> {
        let mut line = String::new();
        self.reader.read_line(&mut line)?;
        Ok(line.trim_end().to_owned())
    }

    /// Sessions with random keys of 32 characters that expire, as Django's cache back end has them.
    fn fill(&mut self, count: usize) -> Result<()> {
        let value = "x".repeat(VALUE);
        let mut random = std::fs::File::open("/dev/urandom")?;
        let mut bytes = [0; 16];
        for first in (0..count).step_by(1000) {
            let batch = first..count.min(first + 1000);
            for _ in batch.clone() {
                random.read_exact(&mut bytes)?;
                let key = format!("{:032x}", u128::from_le_bytes(bytes));
                self.send(&["SET", &key, &value, "EX", "1209600"])?;
            }
            self.writer.flush()?;
            for _ in batch {
                let answer = self.answer()?;
                if answer != "+OK" {
                    return Err(format!("Redis says `{answer}`").into());
                }
            }
        }
        Ok(())
    }
}
