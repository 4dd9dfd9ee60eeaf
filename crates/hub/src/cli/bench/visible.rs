//! When a red reading is visible: the bench signs in as a nurse and reads the event stream, as a page does.

use std::{
    cell::RefCell,
    collections::HashMap,
    rc::Rc,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use hdrhistogram::Histogram;
use serde::Deserialize;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
    task::JoinHandle,
    time::timeout,
};
use vitals::KitId;

use super::{
    child::Child,
    report::{Latency, new_histogram},
};

/// How long a page may take.
const PAGE_MAX: Duration = Duration::from_secs(30);

/// The red messages on their way, and how long others took.
pub(super) struct Watched {
    state: RefCell<State>,
}

struct State {
    /// By patient, who has the kit's id here: when the red one on its way was due, and how often the alert was fed.
    kits: HashMap<String, (Option<Instant>, u32)>,
    latency: Histogram<u64>,
}

impl Default for Watched {
    fn default() -> Self {
        Self { state: RefCell::new(State { kits: HashMap::new(), latency: new_histogram() }) }
    }
}

impl Watched {
    /// A red message was sent. Only one of a kit is timed at a time.
    pub fn sent(&self, kit: &KitId, due: Instant) {
        let mut state = self.state.borrow_mut();
        let (on_its_way, _) = state.kits.entry(kit.as_str().to_owned()).or_default();
        on_its_way.get_or_insert(due);
    }

    /// The stream told of an alert of this patient, fed so often.
    fn seen(&self, patient: &str, count: u32) {
        let mut state = self.state.borrow_mut();
        let Some((on_its_way, before)) = state.kits.get_mut(patient) else { return };
        if count > *before {
            *before = count;
            if let Some(due) = on_its_way.take() {
                let micros = u64::try_from(due.elapsed().as_micros()).unwrap_or(u64::MAX);
                state.latency.saturating_record(micros);
            }
        }
    }

    /// Forgets what is on its way: nobody was watching when it became visible.
    fn begin(&self) {
        self.state.borrow_mut().kits.values_mut().for_each(|(on_its_way, _)| *on_its_way = None);
    }

    /// Forgets what was measured, not what is on its way.
    pub fn reset(&self) {
        self.state.borrow_mut().latency.reset();
    }

    /// How long it took.
    pub fn latency(&self) -> Latency {
        Latency::of(&self.state.borrow().latency)
    }
}

#[derive(Deserialize)]
struct AlertLine {
    patient: String,
    count: u32,
}

/// Signs in and reads the stream until it is aborted.
pub(super) async fn watch(server: &Child, password: &str, watched: Rc<Watched>) -> anyhow::Result<JoinHandle<()>> {
    let host = server.http().to_owned();
    let cookie = timeout(PAGE_MAX, sign_in(&host, password)).await.context("signing in took too long")??;
    let mut stream = TcpStream::connect(&host).await?;
    let request =
        format!("GET /events HTTP/1.1\r\nHost: {host}\r\nCookie: {cookie}\r\nAccept: text/event-stream\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut lines = BufReader::new(stream).lines();
    let status = timeout(PAGE_MAX, lines.next_line()).await??.unwrap_or_default();
    anyhow::ensure!(status.contains(" 200 "), "/events answered {status:?}");
    watched.begin();
    Ok(tokio::task::spawn_local(async move {
        while let Ok(Some(line)) = lines.next_line().await {
            let alert = line.strip_prefix("data:").and_then(|data| serde_json::from_str::<AlertLine>(data).ok());
            if let Some(alert) = alert {
                watched.seen(&alert.patient, alert.count);
            }
        }
    }))
}

async fn sign_in(host: &str, password: &str) -> anyhow::Result<String> {
    let page = ask(host, "GET", "/sign-in", "", "").await?;
    let csrf = page.split_once("name=\"csrf\" value=\"").and_then(|(_, rest)| rest.split_once('"'));
    let (csrf, _) = csrf.context("the sign-in page has no csrf field")?;
    let form = format!("user=bench&password={password}&csrf={csrf}");
    let answer = ask(host, "POST", "/sign-in", &cookies(&page), &form).await?;
    let cookie = cookies(&answer);
    anyhow::ensure!(cookie.contains("vagt_session="), "not signed in: {}", answer.lines().next().unwrap_or_default());
    Ok(cookie)
}

/// One request on a connection of its own; gives head and body.
async fn ask(host: &str, method: &str, path: &str, cookie: &str, form: &str) -> anyhow::Result<String> {
    let mut stream = TcpStream::connect(host).await?;
    let length = form.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: {host}\r\nOrigin: http://{host}\r\nConnection: close\r\nCookie: {cookie}\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {length}\r\n\r\n{form}"
    );
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// The cookies that an answer sets, as a browser sends them back.
fn cookies(answer: &str) -> String {
    let head = answer.split("\r\n\r\n").next().unwrap_or_default();
    let set = head.lines().filter_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("set-cookie").then(|| value.split(';').next().unwrap_or_default().trim())
    });
    set.filter(|cookie| !cookie.ends_with('=')).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookies_that_are_taken_away_are_not_sent_back() {
        let answer = "HTTP/1.1 303\r\nset-cookie: a=1; Path=/\r\nSet-Cookie: b=; Max-Age=0\r\n\r\nset-cookie: c=1";
        assert_eq!(cookies(answer), "a=1");
    }
}
