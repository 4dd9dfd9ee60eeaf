//! The enrolment's connections: a bounded number, and each for a short time, since one request is all that a kit has. Web servers wait for a
//! request as long as it takes; here that would let anybody hold the service's file handles, which the kits' front door needs too.

use std::{
    future::Future,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    extract::connect_info::Connected,
    serve::{IncomingStream, Listener},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Sleep, sleep},
};
use tokio_rustls::server::TlsStream;

use crate::tls::TlsListener;

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
}

/// A connection with an end.
pub(super) struct Visit {
    stream: TlsStream<TcpStream>,
    end: Pin<Box<Sleep>>,
    _room: OwnedSemaphorePermit,
}

impl Door {
    pub fn new(listener: TlsListener) -> Self {
        Self { listener, room: Arc::new(Semaphore::new(CONNECTIONS_MAX)) }
    }
}

impl Listener for Door {
    type Io = Visit;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Visit, SocketAddr) {
        let room = Arc::clone(&self.room).acquire_owned().await.expect("nobody closes the semaphore");
        let (stream, peer) = self.listener.next().await;
        (Visit { stream, end: Box::pin(sleep(CONNECTION_MAX)), _room: room }, peer)
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

impl Visit {
    /// Asked before every read and write, so that the task is woken when the time is over.
    fn is_over(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        match self.end.as_mut().poll(cx) {
            Poll::Ready(()) => Err(io::ErrorKind::TimedOut.into()),
            Poll::Pending => Ok(()),
        }
    }
}

impl AsyncRead for Visit {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.is_over(cx)?;
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Visit {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.is_over(cx)?;
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.is_over(cx)?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.is_over(cx)?;
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
