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
        Error, RootCertStore, ServerConfig,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
        server::{NoServerSessionStorage, WebPkiClientVerifier, danger::ClientCertVerifier},
    },
    server::TlsStream,
};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::seldom::Seldom;

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

/// A certificate (followed by its chain) and its key, for use.
///
/// # Errors
/// They can't be read, or don't fit each other.
pub fn acceptor(certificate: &Path, key: &Path, clients: Clients) -> anyhow::Result<TlsAcceptor> {
    let chain = certificates(certificate)?;
    let key = PrivateKeyDer::from_pem_file(key).with_context(|| key.display().to_string())?;
    let asks = clients.offer_client_auth();
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_client_cert_verifier(clients)
        .with_single_cert(chain, key)
        .with_context(|| certificate.display().to_string())?;
    if asks {
        // A session that is taken up again shows no certificate: one that has ended since would still come in.
        config.session_storage = Arc::new(NoServerSessionStorage {});
    }
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn certificates(pem: &Path) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let file = || pem.display().to_string();
    let found: Vec<_> =
        CertificateDer::pem_file_iter(pem).with_context(file)?.collect::<Result<_, _>>().with_context(file)?;
    anyhow::ensure!(!found.is_empty(), "{}: holds no certificate", file());
    Ok(found)
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
