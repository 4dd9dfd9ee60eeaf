//! TLS for the enrolment: handshakes beside each other, each in time, so that one that hangs keeps nobody waiting.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use anyhow::Context as _;
use axum::{
    extract::connect_info::Connected,
    serve::{IncomingStream, Listener},
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, mpsc},
    time::{sleep, timeout},
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    },
    server::TlsStream,
};

use crate::authority::Authority;

/// How long a handshake may take.
const HANDSHAKE_MAX: Duration = Duration::from_secs(10);
/// Handshakes at a time; further connections wait to be taken.
const HANDSHAKES_MAX: usize = 64;
/// How long nothing is taken after the system refused a connection (no file handles left).
const REFUSED_PAUSE: Duration = Duration::from_millis(200);

/// Who is on the other end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer(pub SocketAddr);

/// Gives connections whose handshake is done.
pub(super) struct TlsListener {
    addr: SocketAddr,
    done: mpsc::Receiver<(TlsStream<TcpStream>, SocketAddr)>,
}

/// The server's certificate and key, for use.
///
/// # Errors
/// They can't be read, or don't fit each other.
pub(super) fn acceptor(authority: &Authority) -> anyhow::Result<TlsAcceptor> {
    let (file, key) = (authority.server_certificate(), authority.server_key());
    let todo = || format!("{}: `vagt ca issue --name HOST` makes the server's certificate", file.display());
    let chain: Vec<_> =
        CertificateDer::pem_file_iter(&file).with_context(todo)?.collect::<Result<_, _>>().with_context(todo)?;
    let key = PrivateKeyDer::from_pem_file(&key).with_context(|| key.display().to_string())?;
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .with_context(|| file.display().to_string())?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

impl TlsListener {
    /// Starts to take connections.
    pub fn start(listener: TcpListener, addr: SocketAddr, acceptor: TlsAcceptor) -> Self {
        let (ready, done) = mpsc::channel(1);
        tokio::spawn(take(listener, acceptor, ready));
        Self { addr, done }
    }
}

async fn take(listener: TcpListener, acceptor: TlsAcceptor, ready: mpsc::Sender<(TlsStream<TcpStream>, SocketAddr)>) {
    let room = Arc::new(Semaphore::new(HANDSHAKES_MAX));
    loop {
        let Ok(permit) = Arc::clone(&room).acquire_owned().await else { return };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = ready.closed() => return,
        };
        let Ok((stream, peer)) = accepted else {
            sleep(REFUSED_PAUSE).await;
            continue;
        };
        let (acceptor, ready) = (acceptor.clone(), ready.clone());
        tokio::spawn(async move {
            match timeout(HANDSHAKE_MAX, acceptor.accept(stream)).await {
                Ok(Ok(stream)) => drop(ready.send((stream, peer)).await),
                Ok(Err(error)) => tracing::debug!(%peer, "no handshake: {error}"),
                Err(_) => tracing::debug!(%peer, "no handshake in time"),
            }
            drop(permit);
        });
    }
}

impl Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        match self.done.recv().await {
            Some(connection) => connection,
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.addr)
    }
}

impl Connected<IncomingStream<'_, TlsListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, TlsListener>) -> Self {
        Self(*stream.remote_addr())
    }
}
