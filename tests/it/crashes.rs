//! A hundred kills under load: no acknowledged login is lost, no acknowledged logout is undone.
//!
//! The witness stands outside the process. It writes down what was asked for before it is asked for, and what was acknowledged when the
//! answer has arrived, and looks at all of it after each start. `VESTIBULE_KILLS=1000` kills more often.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use tokio::{io::AsyncWriteExt, net::TcpStream, task::JoinSet};

use crate::support::{
    config::town_and,
    gate::Gate,
    people::PASSWORD,
    visitor::{Visitor, form_token},
    wire::Wire,
};

const KILLS: u64 = 100;
const AT_ONCE: u64 = 8;
const NAMES: [&str; 5] = ["ada", "bob", "alice", "carl", "dora"];

/// What is known of a session.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Known {
    Alive,
    /// A logout was asked for and never acknowledged: it may be either.
    Ending,
    Ended,
}

struct Seen {
    visitor: Visitor,
    name: &'static str,
    known: Known,
}

#[derive(Default)]
struct Witness(Mutex<Vec<Seen>>);

impl Witness {
    fn logged_in(&self, visitor: &Visitor, name: &'static str) -> usize {
        let seen = Seen { visitor: visitor.clone(), name, known: Known::Alive };
        let mut all = self.0.lock().unwrap();
        all.push(seen);
        all.len() - 1
    }

    fn is_alive(&self, index: usize) -> bool {
        self.0.lock().unwrap()[index].known == Known::Alive
    }

    /// Some session that is alive, to be ended.
    fn chooses(&self, random: &mut Random) -> Option<(usize, Visitor)> {
        let mut all = self.0.lock().unwrap();
        let alive: Vec<usize> =
            (0..all.len()).filter(|&index| all[index].known == Known::Alive).collect();
        let index = *alive.get(random.below(alive.len().max(1) as u64) as usize)?;
        all[index].known = Known::Ending;
        Some((index, all[index].visitor.clone()))
    }

    fn logged_out(&self, index: usize) {
        self.0.lock().unwrap()[index].known = Known::Ended;
    }

    /// Looks at every session there ever was.
    async fn examines(self: &Arc<Self>, address: SocketAddr, cycle: u64) {
        let length = self.0.lock().unwrap().len();
        let mut parts = JoinSet::new();
        for part in 0..AT_ONCE as usize {
            let witness = Arc::clone(self);
            parts.spawn(async move {
                let mut wire = Wire::connect(address).await;
                for index in (part..length).step_by(AT_ONCE as usize) {
                    let (visitor, name, known) = {
                        let seen = &witness.0.lock().unwrap()[index];
                        (seen.visitor.through(address), seen.name, seen.known)
                    };
                    let answer = visitor.asks_on(&mut wire, "/private/").await;
                    let is_alive = answer.status == 200;
                    match known {
                        Known::Alive => {
                            assert!(is_alive, "cycle {cycle}: login {index} was lost: {answer:?}");
                        }
                        Known::Ended => {
                            assert!(!is_alive, "cycle {cycle}: logout {index} was undone");
                        }
                        Known::Ending => {
                            let known = if is_alive { Known::Alive } else { Known::Ended };
                            witness.0.lock().unwrap()[index].known = known;
                        }
                    }
                    if is_alive {
                        answer.is_forwarded_as(name);
                    } else {
                        answer.asks_to_log_in("/private/");
                    }
                }
            });
        }
        while let Some(part) = parts.join_next().await {
            part.unwrap();
        }
    }
}

/// Enough for a load; the same one each time.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963);
        (self.0 >> 33) % bound
    }
}

/// A request that may find nobody, or nobody any more: the head and body of a complete answer, or nothing.
async fn asks(
    address: SocketAddr,
    method: &str,
    target: &str,
    visitor: &Visitor,
    form: &str,
) -> Option<crate::support::answer::Answer> {
    let mut stream = TcpStream::connect(address).await.ok()?;
    let body = if method == "POST" {
        format!(
            "Origin: http://{address}\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
            form.len()
        )
    } else {
        "\r\n".to_owned()
    };
    let request = format!(
        "{method} {target} HTTP/1.1\r\nHost: {address}\r\nAccept: text/html\r\nConnection: close\r\n{}{body}",
        visitor.cookie_line()
    );
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut received = Vec::new();
    tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut received).await.ok()?;
    match crate::support::answer::read(&received, method, true) {
        Ok(crate::support::answer::Reading::Whole(answer, _)) => Some(*answer),
        Ok(crate::support::answer::Reading::More) | Err(_) => None,
    }
}

async fn submits(
    address: SocketAddr,
    target: &str,
    visitor: &mut Visitor,
    more: &str,
) -> Option<crate::support::answer::Answer> {
    let page = asks(address, "GET", target, visitor, "").await.filter(|page| page.status == 200)?;
    visitor.keeps(&page);
    let form = format!("csrfmiddlewaretoken={}{more}", form_token(&page.text()));
    asks(address, "POST", target, visitor, &form).await
}

/// Logs in and out, and looks at pages in between, until the gateway is gone.
async fn comes_and_goes(address: SocketAddr, witness: Arc<Witness>, seed: u64) {
    let mut random = Random(seed);
    for _ in 0..4 {
        random.below(2);
    }
    loop {
        if random.below(5) < 3 {
            let name = NAMES[random.below(NAMES.len() as u64) as usize];
            let mut visitor = Visitor::new(address);
            let more = format!("&username={name}&password={PASSWORD}&next=/private/");
            let Some(answer) = submits(address, "/accounts/login/", &mut visitor, &more).await
            else {
                return;
            };
            assert!(matches!(answer.status, 302 | 303), "{answer:?}");
            visitor.keeps(&answer);
            let index = witness.logged_in(&visitor, name);
            for _ in 0..3 {
                let Some(answer) = asks(address, "GET", "/private/", &visitor, "").await else {
                    return;
                };
                // Somebody else of the load may end it meanwhile.
                if answer.status == 200 || witness.is_alive(index) {
                    answer.is_forwarded_as(name);
                }
            }
        } else if let Some((index, visitor)) = witness.chooses(&mut random) {
            let mut visitor = visitor.through(address);
            let Some(answer) = submits(address, "/accounts/logout/", &mut visitor, "").await else {
                return;
            };
            assert_eq!(answer.status, 200, "{answer:?}");
            witness.logged_out(index);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hundred_kills_under_load_lose_no_login_and_undo_no_logout() {
    let settings = "[sessions]\nsnapshot_interval = \"1s\"\n[log]\naccess = \"off\"";
    let mut gate = Gate::start(&town_and(settings)).await;
    let witness = Arc::new(Witness::default());
    let mut random = Random(4711);
    let mut slowest = Duration::ZERO;
    let kills = std::env::var("VESTIBULE_KILLS").ok().map_or(KILLS, |text| text.parse().unwrap());
    for cycle in 1..=kills {
        let mut load = JoinSet::new();
        for number in 0..AT_ONCE {
            let seed = cycle * 1000 + number;
            load.spawn(comes_and_goes(gate.address, Arc::clone(&witness), seed));
        }
        // Not to be right: whenever it is, is right. Long enough for a snapshot now and then.
        let until =
            if cycle.is_multiple_of(10) { 1100 + random.below(600) } else { random.below(200) };
        tokio::time::sleep(Duration::from_millis(until)).await;
        gate.is_killed();
        while let Some(done) = load.join_next().await {
            done.unwrap();
        }
        let begun = Instant::now();
        gate.starts_again().await;
        slowest = slowest.max(begun.elapsed());
        witness.examines(gate.address, cycle).await;
    }
    let seen = witness.0.lock().unwrap();
    let count = |known: Known| seen.iter().filter(|seen| seen.known == known).count();
    let (alive, ended) = (count(Known::Alive), count(Known::Ended));
    assert!(alive > 200 && ended > 200, "hardly any load: {alive} alive, {ended} ended");
    assert!(slowest < Duration::from_secs(10), "a start took {slowest:?}");
}
