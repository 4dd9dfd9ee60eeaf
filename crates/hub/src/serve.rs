//! `vagt serve`: the story of the service. Read, open, start the named tasks, wait, stop.

mod doors;

use std::{
    net::SocketAddr,
    sync::{Arc, OnceLock},
    time::Duration,
};

use anyhow::Context as _;
use axum::serve::ListenerExt as _;
use desk::{ActionRequest, Board, Desk, Door};
use metrics_exporter_prometheus::PrometheusHandle;
use serde::Serialize;
use store::{Heard, Lead, Store};
use tokio::{
    net::TcpListener,
    sync::{Notify, mpsc, watch},
    task::{JoinHandle, JoinSet},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use self::doors::{Doors, Pages, door_ended, open_enrolment};
use crate::{
    clock,
    commands::Commands,
    config::Config,
    directory::{Directories, Directory},
    enrolment::Enrolment,
    kits::{self, KITS_HEARD_MAX},
    lock::{Lock, make_folder},
    pipeline::{ACTIONS_MAX, Parts, Pipeline, acks::Outbox},
    presence::Presence,
    programmes,
    remeasure::{self, REMEASURES_MAX},
    roster::{self, Decided, Keeper},
    source::{
        ToKits,
        broker::{self, BrokerSource},
        front_door::{Behind, FrontDoor},
        http::HttpSource,
        limits::Limits,
    },
    standby::{self, TakenOver},
    tuning::{beside::Beside, service::StoredTuning, shadow::Shadows},
    ward::StoredWard,
    watching::{
        self, Sampled,
        heartbeat::Heart,
        way::{ByDoor, ByMqtt, Way},
    },
};

/// How long what was taken in may take to be finished at the end.
const FINISH_MAX: Duration = Duration::from_secs(15);
/// How long pages may take to let go.
const PAGES_CLOSE_MAX: Duration = Duration::from_secs(2);
/// How long what judges beside the live work may take to end.
const BESIDE_END_MAX: Duration = Duration::from_secs(5);

/// Where a running service can be reached.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Ready {
    /// Always true: the line is printed when it is.
    pub ready: bool,
    /// The pages.
    pub http: Http,
    /// The front door, if it is open.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mqtt: Option<SocketAddr>,
    /// Where kits enrol, if they can.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enrolment: Option<SocketAddr>,
}

/// What a service says of itself when it starts.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub enum Told {
    /// Another leads. It says that it is ready when it does.
    Standby {
        /// Always true.
        standby: bool,
        /// Where it shows that it waits.
        http: Http,
        /// Who leads.
        leader: String,
    },
    /// It takes readings in, and judges.
    Ready(Ready),
}

/// An address, written as `http://...`.
#[derive(Clone, Copy, Debug)]
pub struct Http(pub SocketAddr);

impl Serialize for Http {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl std::fmt::Display for Http {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "http://{}", self.0)
    }
}

/// The running service.
pub struct Service {
    ready: Ready,
    store: Arc<dyn Store>,
    pipeline: Pipeline,
    front_door: Option<FrontDoor>,
    broker: Option<BrokerSource>,
    to_kits: Arc<dyn ToKits>,
    enrolment: Option<Enrolment>,
    presence: Arc<Presence>,
    outbox: Arc<Outbox>,
    pages: JoinHandle<()>,
    beside: Beside,
    tasks: JoinSet<()>,
    stop: CancellationToken,
    close_pages: CancellationToken,
    lead: Lead,
    /// Let go last, when the store is closed.
    _lock: Lock,
}

/// Runs the service until it is told to stop (SIGTERM, SIGINT).
///
/// # Errors
/// It can't be started, or a part of it has ended by itself.
pub async fn run(config: Config) -> anyhow::Result<()> {
    run_telling(config, |_| Ok(())).await
}

/// The same; `tell` hears where it can be reached once it is ready, and before that if it waits behind another.
///
/// # Errors
/// As [`run`], and what `tell` can't do; [`TakenOver`] when another has the lead now.
pub async fn run_telling(config: Config, tell: impl Fn(Told) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let mut told_to_stop = std::pin::pin!(stop_signal()?);
    let opened = Opened::open(&config).await?;
    let http = Http(opened.pages.local_addr()?);
    let waiting = |leader: &str| tell(Told::Standby { standby: true, http, leader: leader.to_owned() });
    let lead = tokio::select! {
        () = &mut told_to_stop => None,
        lead = standby::lead(&opened, &config, waiting) => Some(lead?),
    };
    let Some(lead) = lead else {
        opened.store.close().await;
        return Ok(());
    };
    let mut service = Service::leading(config, opened, lead).await?;
    tell(Told::Ready(service.ready))?;
    let ended = tokio::select! {
        () = told_to_stop => Ok(()),
        ended = service.ended() => Err(ended),
    };
    match &ended {
        Err(error) if error.is::<TakenOver>() => service.give_way().await,
        _ => service.stop().await,
    }
    ended
}

/// What is there before the lead is.
pub struct Opened {
    pub(crate) store: Arc<dyn Store>,
    /// Where the pages will be.
    pub(crate) pages: std::net::TcpListener,
    pub(crate) metrics: PrometheusHandle,
    lock: Lock,
}

impl Opened {
    /// One service at a time on this data folder; its store, and the address of its pages.
    ///
    /// # Errors
    /// Any of them is not to be had, in a sentence.
    pub async fn open(config: &Config) -> anyhow::Result<Self> {
        let metrics = metrics_recorder()?;
        make_folder(&config.data)?;
        let lock = Lock::take(&config.data)?;
        let store = store::open(&config.store()).await?;
        let listen = config.http.listen;
        let pages = TcpListener::bind(listen).await.with_context(|| format!("http.listen {listen}"))?;
        Ok(Self { store, pages: pages.into_std()?, metrics, lock })
    }
}

impl Service {
    /// Opens everything and starts the tasks, as soon as nobody else leads the store.
    ///
    /// # Errors
    /// Any part that can't be opened, in a sentence.
    pub async fn start(config: Config) -> anyhow::Result<Self> {
        let opened = Opened::open(&config).await?;
        let lead = standby::lead(&opened, &config, |_| Ok(())).await?;
        Self::leading(config, opened, lead).await
    }

    /// Reads what is stored and starts the tasks.
    async fn leading(config: Config, opened: Opened, lead: Lead) -> anyhow::Result<Self> {
        let Opened { store, pages, metrics, lock } = opened;
        let pages = TcpListener::from_std(pages)?;
        let Judged { decided, directory, board, presence } = Judged::read(&*store, &config).await?;
        let (directory, followed) = watch::channel(Arc::new(directory));
        let directories = Directories::new(followed);
        let (stop, close_pages) = (CancellationToken::new(), CancellationToken::new());
        let (outbox, commands) = (Arc::new(Outbox::default()), Arc::new(Commands::default()));
        let (actions, acted) = mpsc::channel(ACTIONS_MAX);
        let (kits, kits_heard) = mpsc::channel(KITS_HEARD_MAX);
        let (remeasure, to_remeasure) = mpsc::channel(REMEASURES_MAX);

        let pipeline = Pipeline::start(Parts {
            store: Arc::clone(&store),
            board: Arc::clone(&board),
            directories: directories.clone(),
            actions: acted,
            kits: kits_heard,
            remeasure,
            outbox: Arc::clone(&outbox),
            clock: clock::wall(),
            stop: stop.clone(),
        })
        .await?;
        let behind = Behind {
            directories: directories.clone(),
            taker: pipeline.taker(),
            presence: Arc::clone(&presence),
            outbox: Arc::clone(&outbox),
            commands: Arc::clone(&commands),
            limits: Arc::new(Limits::new(&config.limits)),
        };
        let Doors { front_door, broker, to_kits } = Doors::open(&config, &behind).await?;
        let mqtt = front_door.as_ref().map(FrontDoor::addr);
        let changed = Arc::new(Notify::new());
        let enrolment = open_enrolment(&config, &store, directories.clone(), &changed, mqtt).await?;
        let ready = Ready {
            ready: true,
            http: Http(pages.local_addr()?),
            mqtt,
            enrolment: enrolment.as_ref().map(Enrolment::addr),
        };

        let mut tasks = JoinSet::new();
        if let Some(heard) = lead.heard() {
            tasks.spawn(pipeline.listen(heard));
        }
        tasks.spawn(Arc::clone(&presence).keep(Arc::clone(&store)));
        tasks.spawn(Arc::clone(&outbox).keep(Arc::clone(&to_kits)));
        tasks.spawn(commands.keep(Arc::clone(&store), Arc::clone(&to_kits), directories.clone()));
        tasks.spawn(Arc::clone(&behind.limits).keep());
        let keeper = Keeper::new(&config, decided, Arc::clone(&store), Arc::clone(&board), directory, changed);
        tasks.spawn(keeper.keep());
        tasks.spawn(kits::watch(directories.clone(), Arc::clone(&presence), kits, clock::wall()));
        tasks.spawn(remeasure::keep(to_remeasure, Arc::clone(&store), directories, Arc::clone(&presence)));
        tasks.spawn(watching::keep(Sampled::new(&config, Arc::clone(&store), Arc::clone(&board), metrics.clone())));
        let by_http: Arc<dyn Door> = Arc::new(HttpSource::new(behind));
        if let Some(heart) = heart(&config, &store, &board, mqtt, &by_http)? {
            tasks.spawn(heart.keep());
        }
        let beside = Beside::new(stop.child_token());
        let mut desk = desk_of(&config, &store, board, actions, metrics, &beside);
        desk.door = Some(by_http);
        let shadows = Shadows::new(Arc::clone(&store), config.zone.clone(), clock::wall(), beside.clone());
        tokio::spawn(shadows.keep());
        let pages = tokio::spawn(serve_pages(pages, desk, close_pages.clone()));
        Ok(Self {
            ready,
            store,
            pipeline,
            front_door,
            broker,
            to_kits,
            enrolment,
            presence,
            outbox,
            pages,
            beside,
            tasks,
            stop,
            close_pages,
            lead,
            _lock: lock,
        })
    }

    /// Where it can be reached.
    #[must_use]
    pub fn ready(&self) -> Ready {
        self.ready
    }

    /// The store, e.g. for accounts.
    #[must_use]
    pub fn store(&self) -> Arc<dyn Store> {
        Arc::clone(&self.store)
    }

    /// Waits until a part ends that should not, or another has the lead; says which.
    pub async fn ended(&mut self) -> anyhow::Error {
        let what = tokio::select! {
            () = self.lead.lost() => return TakenOver.into(),
            () = self.pipeline.ended() => "the pipeline",
            () = door_ended(self.front_door.as_mut()) => "the front door",
            _ = &mut self.pages => "the web server",
            Some(_) = self.tasks.join_next() => "a task of the service",
        };
        anyhow::anyhow!("{what} has ended by itself")
    }

    /// Stops: takes nothing more in, finishes and acknowledges what it has, tells the kits, closes the store.
    pub async fn stop(mut self) {
        tracing::info!("stopping");
        self.stop.cancel();
        if timeout(FINISH_MAX, self.pipeline.finished()).await.is_err() {
            let seconds = FINISH_MAX.as_secs();
            tracing::warn!(
                "what was taken in could not be stored in {seconds} s: it is not acknowledged, the kits send it again"
            );
        }
        beside_ended(&self.beside).await;
        self.tasks.shutdown().await;
        if let Some(enrolment) = self.enrolment.take() {
            enrolment.close().await;
        }
        self.outbox.flush(&*self.to_kits).await;
        if let Some(broker) = self.broker.take() {
            broker.close().await;
        }
        if let Some(front_door) = self.front_door.take() {
            front_door.close().await;
        }
        self.presence.flush(&*self.store).await;
        self.close_pages.cancel();
        if timeout(PAGES_CLOSE_MAX, &mut self.pages).await.is_err() {
            self.pages.abort();
        }
        self.store.close().await;
        tracing::info!("stopped");
    }

    /// Another leads now. What this one still holds it could not store, and must not acknowledge: its kits send it to the other. So it just ends,
    /// but for the threads that judge beside it, which may not outlive the runtime.
    pub async fn give_way(self) {
        self.beside.stop();
        beside_ended(&self.beside).await;
    }
}

async fn beside_ended(beside: &Beside) {
    if timeout(BESIDE_END_MAX, beside.ended()).await.is_err() {
        let seconds = BESIDE_END_MAX.as_secs();
        tracing::warn!(
            "a shadow or a question of tuning did not end in {seconds} s; it begins anew with the next start"
        );
    }
}

/// Who is judged, and by what; and what is shown of it.
struct Judged {
    decided: Decided,
    directory: Directory,
    board: Arc<Board>,
    presence: Arc<Presence>,
}

impl Judged {
    /// Brings the files in, and reads what is stored.
    async fn read(store: &dyn Store, config: &Config) -> anyhow::Result<Self> {
        let now = clock::now();
        programmes::bring_in(store, config.programmes.as_deref(), now).await?;
        let decided = Decided::read_fitting(store, &config.zone, clock::now()).await?;
        let roster = roster::bring_in(store, config, decided.books()).await?;
        let directory = decided.directory(roster.clone(), &config.zone)?;
        let heard = store.last_heard().await?;
        let board = Board::new(store.open_alerts(None).await?, roster, offline(&heard), directory.plans().clone());
        board.not_as_decided(&directory.not_as_decided());
        let presence = Presence::new(Arc::clone(&board), heard);
        Ok(Self { decided, directory, board, presence })
    }
}

fn desk_of(
    config: &Config,
    store: &Arc<dyn Store>,
    board: Arc<Board>,
    actions: mpsc::Sender<ActionRequest>,
    metrics: PrometheusHandle,
    beside: &Beside,
) -> Desk {
    let tuning =
        StoredTuning::new(Arc::clone(store), config.store(), config.zone.clone(), clock::wall(), beside.clone());
    let ward = StoredWard { store: Arc::clone(store), zone: config.zone.clone(), setting: Default::default() };
    Desk {
        store: Arc::clone(store),
        board,
        actions,
        tuning: Some(Arc::new(tuning)),
        ward: Some(Arc::new(ward)),
        door: None,
        metrics,
        zone: config.zone.clone(),
        clinic: config.clinic.clone(),
        secure_cookies: config.secure_cookies(),
        simulated: config.simulated,
    }
}

/// Nobody is connected when the service starts.
fn offline(heard: &[Heard]) -> Vec<Heard> {
    heard.iter().map(|heard| Heard { online: false, ..heard.clone() }).collect()
}

async fn serve_pages(listener: TcpListener, desk: Desk, close: CancellationToken) {
    let app = desk::router(desk).into_make_service_with_connect_info::<SocketAddr>();
    // Tapped for the address of who is connected, which axum gives of its own listeners alone.
    let pages = Pages::new(listener).tap_io(|_| {});
    let serving = axum::serve(pages, app).with_graceful_shutdown(close.cancelled_owned());
    if let Err(error) = serving.await {
        tracing::error!("the web server has ended: {error}");
    }
}

/// The process's one recorder of metrics.
///
/// # Errors
/// Another part of the process has installed its own.
pub fn metrics_recorder() -> anyhow::Result<PrometheusHandle> {
    static RECORDER: OnceLock<PrometheusHandle> = OnceLock::new();
    if let Some(handle) = RECORDER.get() {
        return Ok(handle.clone());
    }
    let handle = watching::metrics::exporter()?.install_recorder()?;
    watching::metrics::describe();
    Ok(RECORDER.get_or_init(|| handle).clone())
}

/// The heartbeat, unless it is switched off: its readings go in where kits send theirs.
fn heart(
    config: &Config,
    store: &Arc<dyn Store>,
    board: &Arc<Board>,
    mqtt: Option<SocketAddr>,
    by_http: &Arc<dyn Door>,
) -> anyhow::Result<Option<Heart>> {
    let seconds = config.heartbeat.period_seconds;
    if seconds == 0 {
        tracing::warn!("the heartbeat is switched off: nobody is told when readings silently stop coming through");
        return Ok(None);
    }
    let mut ways: Vec<Box<dyn Way>> = Vec::new();
    match mqtt {
        Some(mqtt) => {
            let certificate = config.mqtt.tls.as_ref().map(|tls| tls.cert.as_path());
            ways.push(Box::new(ByMqtt::front_door(mqtt, certificate)?));
        }
        None => ways.push(Box::new(ByDoor(Arc::clone(by_http)))),
    }
    if let Some(broker) = &config.broker {
        ways.push(Box::new(ByMqtt::with("broker", broker::to_publish(broker, "heartbeat")?)));
    }
    let period = Duration::from_secs(seconds.into());
    Ok(Some(Heart::new(Arc::clone(store), Arc::clone(board), ways, period)))
}

/// Resolves when the process is asked to stop.
fn stop_signal() -> anyhow::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
