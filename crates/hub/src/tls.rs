//! TLS for the front door and the enrolment: handshakes beside each other, each in time, so that one that hangs keeps nobody waiting. (The
//! broker's own listener takes one handshake after the other, without a limit: a single silent connection would shut every kit out.)
//!
//! Bounded in all and by address; a connection too many is closed at once, and a kit comes again.
//!
//! Where `mqtt.tls.client_ca` is set, the front door's handshake asks for a certificate of that authority too (decision 0114).

use std::{
    collections::HashMap,
    io,
    net::{IpAddr, SocketAddr},
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::Context as _;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::mpsc,
    time::{Instant, sleep, timeout},
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        Error, InconsistentKeys, RootCertStore, ServerConfig,
        crypto::ring,
        pki_types::{
            CertificateDer, PrivateKeyDer,
            pem::{self, PemObject as _},
        },
        server::{NoServerSessionStorage, WebPkiClientVerifier, danger::ClientCertVerifier},
    },
    server::TlsStream,
};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::{config::Tls, seldom::Seldom, watching::heartbeat};

/// How long a handshake may take.
const HANDSHAKE_MAX: Duration = Duration::from_secs(10);
/// Handshakes at a time.
const HANDSHAKES_MAX: usize = 2048;
/// Handshakes of one address at a time: many kits may stand behind one.
const HANDSHAKES_OF_ADDRESS_MAX: usize = 256;
/// How long nothing is taken after the system refused a connection (no file handles left).
const REFUSED_PAUSE: Duration = Duration::from_millis(200);

/// A connection whose handshake is done, and from where it came.
pub type Connection = (TlsStream<TcpStream>, SocketAddr);

/// Gives connections whose handshake is done.
pub struct TlsListener {
    addr: SocketAddr,
    done: mpsc::Receiver<Connection>,
}

/// Whose handshake is taken.
pub type Clients = Arc<dyn ClientCertVerifier>;

/// Everybody's: nobody is asked for a certificate.
pub fn anybody() -> Clients {
    WebPkiClientVerifier::no_client_auth()
}

/// Theirs who show a certificate that holds now and that an authority of this PEM file has signed; and this one's, which no authority has.
///
/// # Errors
/// The file can't be read, or holds no certificate.
pub fn signed_by(authorities: &Path, own: &CertificateDer<'static>) -> anyhow::Result<Clients> {
    let file = || authorities.display().to_string();
    let mut roots = RootCertStore::empty();
    for authority in certificates(authorities)? {
        roots.add(authority).with_context(file)?;
    }
    roots.add(own.clone()).context("the service's own certificate")?;
    let provider = Arc::new(ring::default_provider());
    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().with_context(file)
}

/// The handshake of the front door.
///
/// # Errors
/// A file can't be read, or holds something else; or certificate and key don't fit each other.
pub fn of_front_door(tls: &Tls) -> anyhow::Result<TlsAcceptor> {
    let clients = match &tls.client_ca {
        Some(ca) => signed_by(ca, &heartbeat::certificate().0).context("mqtt.tls.client_ca")?,
        None => anybody(),
    };
    acceptor(&tls.cert, &tls.key, clients).context("mqtt.tls")
}

/// A certificate (followed by its chain) and its key, for use.
///
/// # Errors
/// They can't be read, or don't fit each other.
pub fn acceptor(certificate: &Path, key: &Path, clients: Clients) -> anyhow::Result<TlsAcceptor> {
    let chain = certificates(certificate)?;
    let private = PrivateKeyDer::from_pem_file(key)
        .map_err(|error| anyhow::anyhow!("{}: {}", key.display(), pem_in_words(&error, "private key")))?;
    let asks = clients.offer_client_auth();
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_client_cert_verifier(clients)
        .with_single_cert(chain, private)
        .map_err(|error| unfit(error, certificate, key))?;
    if asks {
        // A session that is taken up again shows no certificate: one that has ended since would still come in.
        config.session_storage = Arc::new(NoServerSessionStorage {});
    }
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn unfit(error: Error, certificate: &Path, key: &Path) -> anyhow::Error {
    let (certificate, key) = (certificate.display(), key.display());
    match error {
        Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
            anyhow::anyhow!("{certificate} does not fit its key, {key}: the key is that of another certificate")
        }
        error => anyhow::anyhow!("{certificate} with its key, {key}: {error}"),
    }
}

fn certificates(pem: &Path) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let read = || CertificateDer::pem_file_iter(pem)?.collect::<Result<Vec<_>, _>>();
    let found =
        read().map_err(|error| anyhow::anyhow!("{}: {}", pem.display(), pem_in_words(&error, "certificate")))?;
    anyhow::ensure!(!found.is_empty(), "{}: holds no certificate", pem.display());
    Ok(found)
}

/// What is wrong with a PEM file that should hold `wanted`.
pub fn pem_in_words(error: &pem::Error, wanted: &str) -> String {
    match error {
        pem::Error::MissingSectionEnd { .. } => "is cut off: an END line is missing".to_owned(),
        pem::Error::IllegalSectionStart { .. } => "is damaged: a BEGIN line is not whole".to_owned(),
        pem::Error::Base64Decode(_) => "is damaged: what stands between BEGIN and END can't be read".to_owned(),
        pem::Error::Io(error) => error.to_string(),
        pem::Error::NoItemsFound => format!("holds no {wanted}"),
        other => other.to_string(),
    }
}

/// Whom the certificate names that the client has shown, by its common name. The handshake has checked that it is good.
///
/// # Errors
/// A sentence: it names nobody, or several.
pub fn common_name(stream: &TlsStream<TcpStream>) -> Result<String, String> {
    let shown = stream.get_ref().1.peer_certificates().and_then(<[_]>::first).ok_or("no certificate was shown")?;
    let (_, certificate) = X509Certificate::from_der(shown).map_err(|error| format!("its certificate: {error}"))?;
    let mut names = certificate.subject().iter_common_name();
    match (names.next(), names.next()) {
        (Some(name), None) => {
            name.as_str().map(str::to_owned).map_err(|error| format!("its certificate's common name: {error}"))
        }
        (None, _) => Err("its certificate has no common name, want the kit's id".to_owned()),
        (Some(_), Some(_)) => Err("its certificate has several common names, want the kit's id alone".to_owned()),
    }
}

impl TlsListener {
    /// Listens, and starts to take connections.
    ///
    /// # Errors
    /// The address can't be listened on.
    pub async fn bind(listen: SocketAddr, acceptor: TlsAcceptor) -> io::Result<Self> {
        let listener = TcpListener::bind(listen).await?;
        let addr = listener.local_addr()?;
        let (ready, done) = mpsc::channel(1);
        tokio::spawn(take(listener, acceptor, ready));
        Ok(Self { addr, done })
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The next connection.
    pub async fn next(&mut self) -> Connection {
        match self.done.recv().await {
            Some(connection) => connection,
            None => std::future::pending().await,
        }
    }
}

async fn take(listener: TcpListener, acceptor: TlsAcceptor, ready: mpsc::Sender<Connection>) {
    let (under_way, told) = (Arc::new(UnderWay::default()), Arc::new(Mutex::new(Seldom::default())));
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = ready.closed() => return,
        };
        let Ok((stream, peer)) = accepted else {
            sleep(REFUSED_PAUSE).await;
            continue;
        };
        let Some(place) = under_way.place(peer.ip()) else {
            metrics::counter!("vagt_tls_turned_away_total").increment(1);
            continue;
        };
        let (acceptor, ready, told) = (acceptor.clone(), ready.clone(), Arc::clone(&told));
        tokio::spawn(async move {
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(%peer, "TCP_NODELAY can't be set: {error}");
            }
            match timeout(HANDSHAKE_MAX, acceptor.accept(stream)).await {
                Ok(Ok(stream)) => drop(ready.send((stream, peer)).await),
                Ok(Err(error)) => no_handshake(peer, &error, &told),
                Err(_) => tracing::debug!(%peer, "no handshake in time"),
            }
            drop(place);
        });
    }
}

/// Who comes without a good certificate where one is asked for has something to mend, and is told of now and then, since anybody may knock; whatever
/// else is said to a port is nobody's concern.
fn no_handshake(peer: SocketAddr, error: &io::Error, told: &Mutex<Seldom>) {
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
    if matches!(tls, Some(Error::NoCertificatesPresented | Error::InvalidCertificate(_))) {
        metrics::counter!("vagt_front_door_refused_total", "reason" => "certificate").increment(1);
        let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.is_time(Instant::now()) {
            tracing::warn!(%peer, "connection refused, no certificate by which a kit is known: {error}");
        } else {
            tracing::debug!(%peer, "connection refused, no certificate by which a kit is known: {error}");
        }
    } else {
        tracing::debug!(%peer, "no handshake: {error}");
    }
}

/// Handshakes that are under way, by address. Bounded by [`HANDSHAKES_MAX`].
#[derive(Default)]
struct UnderWay(Mutex<HashMap<IpAddr, usize>>);

/// One of them; it gives its place back when it is dropped.
struct Place {
    under_way: Arc<UnderWay>,
    address: IpAddr,
}

impl UnderWay {
    fn place(self: &Arc<Self>, address: IpAddr) -> Option<Place> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let of_address = counts.get(&address).copied().unwrap_or(0);
        if of_address >= HANDSHAKES_OF_ADDRESS_MAX || counts.values().sum::<usize>() >= HANDSHAKES_MAX {
            return None;
        }
        counts.insert(address, of_address + 1);
        Some(Place { under_way: Arc::clone(self), address })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.under_way.0.lock().unwrap_or_else(PoisonError::into_inner);
        match counts.get_mut(&self.address) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(counts.remove(&self.address)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authority::Authority;

    #[test]
    fn what_a_file_is_cut_off_or_does_not_fit_is_said_in_words() {
        let data = tempfile::tempdir().unwrap();
        let now = "2026-02-28T08:00:00Z".parse().unwrap();
        let authority = Authority::init(data.path(), "Test", now).unwrap();
        authority.issue_server(&["localhost".into()], now).unwrap();
        let (certificate, key) = (authority.server_certificate(), authority.server_key());
        let refused = |certificate: &Path, key: &Path| {
            acceptor(certificate, key, anybody()).err().map(|error| format!("{error:#}"))
        };
        assert_eq!(refused(&certificate, &key), None);
        let other = Authority::folder(data.path()).join("authority.key");
        let said = refused(&certificate, &other).unwrap();
        let (shown, other) = (certificate.display(), other.display());
        assert_eq!(said, format!("{shown} does not fit its key, {other}: the key is that of another certificate"));
        let (cut, whole) = (data.path().join("cut.pem"), std::fs::read_to_string(&certificate).unwrap());
        std::fs::write(&cut, &whole[..200]).unwrap();
        let said = refused(&cut, &key).unwrap();
        assert_eq!(said, format!("{}: is cut off: an END line is missing", cut.display()));
        let said = refused(&certificate, &certificate).unwrap();
        assert_eq!(said, format!("{}: holds no private key", certificate.display()));
    }

    #[test]
    fn handshakes_are_bounded_in_all_and_by_address() {
        let under_way = Arc::new(UnderWay::default());
        let address = |n: usize| IpAddr::from([10, 0, 0, n as u8]);
        let mut places: Vec<_> = (0..HANDSHAKES_OF_ADDRESS_MAX).filter_map(|_| under_way.place(address(1))).collect();
        assert!(under_way.place(address(1)).is_none() && under_way.place(address(2)).is_some());
        places.pop();
        assert!(under_way.place(address(1)).is_some(), "a place was given back");
        places.extend(
            (2..20)
                .flat_map(|n| (0..HANDSHAKES_OF_ADDRESS_MAX).map(move |_| n))
                .filter_map(|n| under_way.place(address(n))),
        );
        assert_eq!(places.len(), HANDSHAKES_MAX);
        assert!(under_way.place(address(99)).is_none());
        drop(places);
        assert!(under_way.0.lock().unwrap().is_empty());
    }
}
