//! The HTTP door under pressure, by a clock that stands still unless it is moved: who comes too fast hears exactly when to come again, and what
//! can't be stored is not held for longer than was said.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use desk::{Board, Door as _, NotTakenIn, TakenIn};
use hub::{
    clock,
    config::Limits as Config,
    directory::{Directories, Directory, hex},
    pipeline::acks::Outbox,
    presence::Presence,
    source::{
        Arrival, LinedUp, Stored, Taker,
        front_door::{Behind, HOLD_MAX},
        http::HttpSource,
        limits::Limits,
    },
};
use jiff::tz::TimeZone;
use sha2::{Digest, Sha256};
use tokio::time::Instant;

/// Takes everything, or nothing while it is away.
#[derive(Default)]
struct Store(AtomicBool);

impl Taker for Store {
    fn line_up(self: Arc<Self>, _: Arrival, _slowed: bool) -> LinedUp {
        let is_away = self.0.load(Ordering::Acquire);
        LinedUp::fresh(async move {
            if is_away {
                std::future::pending::<()>().await;
            }
            Ok(Stored::now())
        })
    }
}

struct House {
    source: HttpSource,
    store: Arc<Store>,
}

fn open(limits: &Config) -> House {
    let kit = |kit: &str, patient: &str| {
        let hash = hex(&Sha256::digest(b"secret"));
        format!(
            "[[patient]]\nid = \"{patient}\"\nname = \"Test Person\"\nprogramme = \"copd\"\n\
             [[kit]]\nid = \"{kit}\"\npatient = \"{patient}\"\nsecret_sha256 = \"{hash}\"\n"
        )
    };
    let roster = toml::from_str(&(kit("kit-1", "p-1") + &kit("kit-2", "p-2"))).unwrap();
    let programmes = hub::directory::programmes(None).unwrap();
    let directory = Directory::new(roster, &programmes, &TimeZone::UTC).unwrap();
    let board = Board::new(Vec::new(), directory.roster().clone(), Vec::new(), HashMap::new());
    let store = Arc::new(Store::default());
    let source = HttpSource::new(Behind {
        directories: Directories::fixed(directory),
        taker: Arc::clone(&store) as Arc<dyn Taker>,
        presence: Presence::new(board, Vec::new()),
        outbox: Arc::new(Outbox::default()),
        commands: Arc::default(),
        limits: Arc::new(Limits::new(limits)),
    });
    House { source, store }
}

impl House {
    async fn sends(&self, kit: &str, bytes: usize) -> Result<TakenIn, NotTakenIn> {
        self.source.take(kit, b"secret", vec![b' '; bytes].into()).await
    }
}

const STORED: Result<TakenIn, NotTakenIn> = Ok(TakenIn { stored: true, rejected: None });

#[tokio::test(start_paused = true)]
async fn who_comes_too_fast_hears_when_to_come_again_and_nobody_else_does() {
    let limits =
        Config { messages_per_second: 1, messages_burst: 3, kib_per_second: 1, kib_burst: 100, ..Config::default() };
    let house = open(&limits);
    for _ in 0..3 {
        assert_eq!(house.sends("kit-1", 100).await, STORED);
    }
    assert_eq!(house.sends("kit-1", 100).await, Err(NotTakenIn::TooFast(2)), "a second, and a whole one at least");
    assert_eq!(house.sends("kit-2", 100).await, STORED);
    tokio::time::advance(Duration::from_secs(2)).await;
    assert_eq!(house.sends("kit-1", 100).await, STORED);
    // By bytes: of 100 KiB a burst, one large message has taken all but what the one before had.
    assert_eq!(house.sends("kit-2", 99 * 1024).await, STORED);
    assert_eq!(
        house.sends("kit-2", 40 * 1024).await,
        Err(NotTakenIn::TooFast(40)),
        "39 seconds, and one for the fraction"
    );
    tokio::time::advance(Duration::from_secs(39)).await;
    assert_eq!(house.sends("kit-2", 40 * 1024).await, STORED);
    assert_eq!(house.source.take("kit-1", b"guessed", "".into()).await, Err(NotTakenIn::Unknown));
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_stored_is_told_to_come_again_after_the_time_that_was_said() {
    let house = open(&Config::default());
    house.store.0.store(true, Ordering::Release);
    let began = Instant::now();
    let said = house.sends("kit-1", 100).await;
    assert_eq!(said, Err(NotTakenIn::Later("not stored in 10 s".to_owned())));
    let held = began.elapsed();
    assert!(held >= HOLD_MAX && held < HOLD_MAX + Duration::from_millis(10), "{held:?}");
    house.store.0.store(false, Ordering::Release);
    assert_eq!(house.sends("kit-1", 100).await, STORED, "{}", clock::now());
}

#[tokio::test]
async fn a_kit_that_sends_many_at_once_leaves_room_for_others() {
    let house = open(&Config { connections: 2, ..Config::default() });
    let enter = |kit: &str| house.source.enter(kit, b"secret");
    let later = |entered: Result<desk::Entered, NotTakenIn>| entered.map(drop).unwrap_err();
    let two = [enter("kit-1").unwrap(), enter("kit-1").unwrap()];
    assert_eq!(
        later(enter("kit-1")),
        NotTakenIn::Later("so many messages of this kit are being read already".to_owned())
    );
    assert!(enter("kit-2").is_ok());
    drop(two);
    assert!(enter("kit-1").is_ok());
    assert_eq!(later(house.source.enter("kit-1", b"guessed")), NotTakenIn::Unknown);
}
