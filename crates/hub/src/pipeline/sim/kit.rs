//! A kit of a story: a spool that outlives its process, and a process that sends from it. What the spool does is written here again from
//! decision 0030; which message may leave it is decided by the kit's own code, `Window` and `Patience`.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use tokio::{
    sync::Notify,
    time::{Instant, sleep, sleep_until},
};
use vitals::{KitId, PatientId};

use super::{
    disk::Disk,
    net::{FromHub, Link, Net, ToHub},
    patience::Patience,
    trace::{Trace, draw},
    window::Window,
};

/// A core that says it has this much has not counted.
const SEQ_BELIEVED_MAX: u64 = wire::SEQ_MAX - 1_000_000_000;
/// A connection that lasted this long was a good one.
const STABLE_AFTER: Duration = Duration::from_secs(10);
/// Between attempts to connect, at most.
const RECONNECT_MS_MAX: u64 = 60_000;

/// One message in the spool.
#[derive(Clone, Debug)]
pub struct Row {
    /// Which measurement it is, whatever its number becomes.
    pub id: u64,
    /// Everything but `seq`, `oldest` and `sent_at`.
    pub body: String,
    pub urgent: bool,
}

/// What a kit has on its disk.
#[derive(Debug)]
pub struct Spool {
    pub rows: BTreeMap<u64, Row>,
    pub next_seq: u64,
    pub rows_max: usize,
    /// The ids of those that were given up because the spool was full: its counted gap.
    pub given_up: Vec<u64>,
    /// Every measurement that was spooled.
    pub spooled: u64,
}

/// A kit.
pub struct Kit {
    pub id: KitId,
    pub patient: PatientId,
    pub spool: Mutex<Spool>,
    newest: Notify,
    skew: Mutex<SignedDuration>,
    /// An older one does not say which message is the oldest that it keeps.
    says_oldest: bool,
    seed: u64,
    pub disk: Arc<Disk>,
    pub trace: Arc<Trace>,
    pub time: super::clinic::Hands,
}

/// Why a connection is over.
enum End {
    Lost,
    Unacked,
    Again,
}

impl Kit {
    pub fn new(
        number: usize,
        seed: u64,
        rows_max: usize,
        says_oldest: bool,
        disk: &Arc<Disk>,
        time: &super::clinic::Hands,
    ) -> Arc<Self> {
        let spool = Spool { rows: BTreeMap::new(), next_seq: 1, rows_max, given_up: Vec::new(), spooled: 0 };
        let kit = Self {
            id: format!("kit-{number}").parse().unwrap(),
            patient: format!("p-{number}").parse().unwrap(),
            spool: Mutex::new(spool),
            newest: Notify::new(),
            skew: Mutex::default(),
            says_oldest,
            seed: draw(seed, 100, number as u64),
            disk: Arc::clone(disk),
            trace: Arc::clone(&disk.trace),
            time: time.clone(),
        };
        kit.boot();
        Arc::new(kit)
    }

    pub fn now(&self) -> Timestamp {
        let skew = *self.skew.lock().unwrap_or_else(PoisonError::into_inner);
        self.time.true_now() + skew
    }

    pub fn set_clock(&self, skew: SignedDuration) {
        *self.skew.lock().unwrap_or_else(PoisonError::into_inner) = skew;
    }

    pub fn spool(&self) -> MutexGuard<'_, Spool> {
        self.spool.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The process begins: numbers go on above the time in milliseconds.
    pub fn boot(&self) {
        let now = u64::try_from(self.now().as_millisecond()).unwrap_or(1);
        let mut spool = self.spool();
        spool.next_seq = spool.next_seq.max(now);
    }

    /// Somebody measures: one message with one SpO2, or with two readings.
    pub fn measure(&self, spo2: u64, flags: &str) {
        let at = self.now();
        let mut spool = self.spool();
        let (id, seq) = (spool.spooled, spool.next_seq);
        let session = self.session(id);
        let reading = |vital: &str, value: u64, unit: &str| {
            format!(
                r#"{{"vital":"{vital}","value":{value},"unit":"{unit}","measured_at":"{at}","clock":"device","device":"sim:1","flags":[{flags}]}}"#
            )
        };
        let mut readings = reading("spo2", spo2, "%");
        if id.is_multiple_of(3) {
            readings = format!("{readings},{}", reading("pulse", 60 + id % 40, "/min"));
        }
        let body = format!(r#""session":"{session}","readings":[{readings}]}}"#);
        spool.spooled += 1;
        spool.next_seq += 1;
        spool.rows.insert(seq, Row { id, body, urgent: spo2 <= 80 });
        spool.keep_bounded();
        drop(spool);
        self.newest.notify_one();
    }

    /// The sitting of its `id`th measurement.
    pub fn session(&self, id: u64) -> uuid::Uuid {
        uuid::Uuid::from_u128(u128::from(self.seed) << 64 | u128::from(id))
    }

    fn payload(&self, seq: u64, row: &Row) -> Vec<u8> {
        let first = self.spool().rows.keys().next().copied().unwrap_or(seq).min(seq);
        let oldest = if self.says_oldest { format!(r#""oldest":{first},"#) } else { String::new() };
        format!(r#"{{"seq":{seq},{oldest}"sent_at":"{}",{}"#, self.now(), row.body).into_bytes()
    }

    /// The process, until it is killed.
    pub async fn live(self: Arc<Self>, net: Arc<Net>, life: u64) {
        let (mut failures, mut patience, mut tries) = (0, Patience::default(), 0);
        loop {
            let began = Instant::now();
            if let Some(mut link) = net.connect(&self).await {
                match self.converse(&mut link, &mut patience).await {
                    End::Unacked => patience.silent(),
                    End::Lost | End::Again => {}
                }
                link.close();
            }
            if began.elapsed() >= STABLE_AFTER {
                failures = 0;
            }
            let ceiling = (500 << failures.min(10)).min(RECONNECT_MS_MAX);
            failures += 1;
            tries += 1;
            sleep(Duration::from_millis(draw(self.seed, 1000 + life, tries) % ceiling)).await;
        }
    }

    async fn converse(&self, link: &mut Link, patience: &mut Patience) -> End {
        let mut window = Window::new(Instant::now().into_std());
        let mut through = None;
        link.send(ToHub::Listen).await;
        loop {
            through.into_iter().for_each(|through| window.tell_leap(through));
            self.fill(link, &mut window).await;
            let overdue = window.overdue_at(patience.wait()).map(Instant::from_std);
            tokio::select! {
                biased;
                said = link.next() => match said {
                    None => return End::Lost,
                    Some(FromHub::Acks(said)) => {
                        through = Some(said);
                        if self.acked(said, &mut window, patience) { return End::Again }
                    }
                    Some(FromHub::Puback(seq)) => {
                        let before = window.taken_through();
                        window.puback(seq, true);
                        if let Some(through) = through.filter(|through| *through > before)
                            && self.acked(through, &mut window, patience) { return End::Again }
                    }
                },
                () = self.newest.notified() => {}
                () = sleep_until(overdue.unwrap_or_else(Instant::now)), if overdue.is_some() => return End::Unacked,
            }
        }
    }

    async fn fill(&self, link: &Link, window: &mut Window) {
        let room = window.room();
        let next: Vec<(u64, Row)> = {
            let spool = self.spool();
            spool.rows.range(window.cursor() + 1..).take(room).map(|(seq, row)| (*seq, row.clone())).collect()
        };
        for (seq, row) in next {
            window.sent(seq, Instant::now().into_std());
            link.send(ToHub::Publish { seq, payload: self.payload(seq, &row) }).await;
        }
    }

    /// The core has everything up to `through`. Is all to be sent again, with new numbers?
    fn acked(&self, through: u64, window: &mut Window, patience: &mut Patience) -> bool {
        let taken = window.taken_through();
        let mut spool = self.spool();
        if (spool.next_seq..SEQ_BELIEVED_MAX).contains(&through) {
            self.trace.tell(&format!("{} hears {through}, has given up to {}: renumbers", self.id, spool.next_seq));
            spool.renumber(through);
            return true;
        }
        let upto = through.min(taken);
        let gone: Vec<(u64, Row)> = spool.rows.range(..=upto).map(|(seq, row)| (*seq, row.clone())).collect();
        let missing = gone.iter().find(|(seq, _)| !self.disk.state().has(&self.id, *seq));
        if let Some((seq, row)) = missing {
            self.trace.violate(format!(
                "{} lets message {seq} (its {}th) go, which is not stored: through {through}",
                self.id, row.id
            ));
        }
        spool.rows = spool.rows.split_off(&(upto + 1));
        drop(spool);
        if window.acked(upto, Instant::now().into_std()) {
            patience.acknowledged();
        }
        false
    }
}

impl Spool {
    /// Over its bound the oldest routine message goes first.
    fn keep_bounded(&mut self) {
        while self.rows.len() > self.rows_max {
            let routine = self.rows.iter().find(|(_, row)| !row.urgent).map(|(seq, _)| *seq);
            let Some(seq) = routine.or_else(|| self.rows.keys().next().copied()) else { return };
            self.given_up.extend(self.rows.remove(&seq).map(|row| row.id));
        }
    }

    fn renumber(&mut self, through: u64) {
        self.next_seq = through + 1;
        let rows = std::mem::take(&mut self.rows);
        for (_, row) in rows {
            self.rows.insert(self.next_seq, row);
            self.next_seq += 1;
        }
    }
}
