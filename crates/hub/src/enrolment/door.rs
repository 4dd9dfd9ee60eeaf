//! The enrolment's connections: a bounded number, and each for a short time, since one request is all that a kit has. Web servers wait for a
//! request as long as it takes; here that would let anybody hold the service's file handles, which the kits' front door needs too.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    extract::connect_info::Connected,
    serve::{IncomingStream, Listener},
};
use tokio::{net::TcpStream, sync::Semaphore};
use tokio_rustls::server::TlsStream;

use crate::{tls::TlsListener, visit::Visit};

/// Connections at a time; further ones wait to be taken.
const CONNECTIONS_MAX: usize = 64;
/// How long a connection lasts, whatever it does.
const CONNECTION_MAX: Duration = Duration::from_secs(15);

/// Who is on the other end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer(pub SocketAddr);

/// Takes connections, for axum.
pub(super) struct Door {
    listener: TlsListener,
    room: Arc<Semaphore>,
    visit_max: Duration,
}

impl Door {
    pub fn new(listener: TlsListener) -> Self {
        Self { listener, room: Arc::new(Semaphore::new(CONNECTIONS_MAX)), visit_max: CONNECTION_MAX }
    }
}

impl Listener for Door {
    type Io = Visit<TlsStream<TcpStream>>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, SocketAddr) {
        let room = Arc::clone(&self.room).acquire_owned().await.expect("nobody closes the semaphore");
        let (stream, peer) = self.listener.next().await;
        (Visit::new(stream, room, Some(self.visit_max)), peer)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.listener.addr())
    }
}

impl Connected<IncomingStream<'_, Door>> for Peer {
    fn connect_info(stream: IncomingStream<'_, Door>) -> Self {
        Self(*stream.remote_addr())
    }
}

#[cfg(test)]
mod tests {
    use tokio::{io::AsyncReadExt as _, time::timeout};
    use tokio_rustls::{
        TlsConnector,
        rustls::{
            ClientConfig, RootCertStore,
            crypto::ring,
            pki_types::{CertificateDer, ServerName, pem::PemObject as _},
        },
    };

    use super::*;
    use crate::{authority::Authority, clock, tls};

    fn client(authority: &Authority) -> TlsConnector {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(authority.pem().as_bytes()).unwrap()).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let config = config.with_safe_default_protocol_versions().unwrap().with_root_certificates(roots);
        TlsConnector::from(Arc::new(config.with_no_client_auth()))
    }

    #[tokio::test]
    async fn whoever_connects_and_asks_nothing_is_shown_out() {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::init(folder.path(), "Test", clock::now()).unwrap();
        authority.issue_server(&["localhost".to_owned()], clock::now()).unwrap();
        let acceptor = tls::acceptor(&authority.server_certificate(), &authority.server_key(), tls::anybody()).unwrap();
        let listener = TlsListener::bind(SocketAddr::from(([127, 0, 0, 1], 0)), acceptor).await.unwrap();
        let mut door = Door { visit_max: Duration::from_millis(200), ..Door::new(listener) };
        let addr = door.local_addr().unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let connect = async {
            let stream = TcpStream::connect(addr).await.unwrap();
            client(&authority).connect(name, stream).await.unwrap()
        };
        let (_silent, (mut visit, _)) = tokio::join!(connect, door.accept());
        assert_eq!(door.room.available_permits(), CONNECTIONS_MAX - 1);
        let read = timeout(Duration::from_secs(9), visit.read_u8()).await.expect("it has an end");
        assert_eq!(read.unwrap_err().kind(), io::ErrorKind::TimedOut);
        drop(visit);
        assert_eq!(door.room.available_permits(), CONNECTIONS_MAX);
    }
}
