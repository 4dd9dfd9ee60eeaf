//! The page's connections: no more than [`CONNECTIONS_MAX`] at a time, and none that takes up its place without a word. Whoever can reach the port
//! could else take all the files that the kit may have open, and with them its way to the clinic.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::serve::Listener;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Sleep, sleep},
};

/// Connections at a time; further ones wait.
pub const CONNECTIONS_MAX: usize = 64;
/// A connection over which nothing goes in either direction for this long is closed. A live page has a beat every second.
pub const SILENT_MAX: Duration = Duration::from_secs(60);

/// Lets in as many as there is room for.
pub struct Door {
    listener: TcpListener,
    places: Arc<Semaphore>,
    silent_max: Duration,
}

impl Door {
    /// With nobody inside.
    pub fn new(listener: TcpListener) -> Self {
        Self::patient_for(listener, SILENT_MAX)
    }

    /// The same, and another patience.
    pub fn patient_for(listener: TcpListener, silent_max: Duration) -> Self {
        Self { listener, places: Arc::new(Semaphore::new(CONNECTIONS_MAX)), silent_max }
    }
}

impl Listener for Door {
    type Io = Inside;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Inside, SocketAddr) {
        let place = self.places.clone().acquire_owned().await.expect("the places are never closed");
        let (stream, address) = Listener::accept(&mut self.listener).await;
        let silent_max = self.silent_max;
        (Inside { stream, silence: Box::pin(sleep(silent_max)), silent_max, _place: place }, address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// A connection that holds a place.
pub struct Inside {
    stream: TcpStream,
    silence: Pin<Box<Sleep>>,
    silent_max: Duration,
    _place: OwnedSemaphorePermit,
}

impl Inside {
    fn heard(&mut self) {
        let until = tokio::time::Instant::now() + self.silent_max;
        self.silence.as_mut().reset(until);
    }
}

impl AsyncRead for Inside {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.stream).poll_read(context, into);
        match read {
            Poll::Ready(_) => self.heard(),
            Poll::Pending if self.silence.as_mut().poll(context).is_ready() => {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            Poll::Pending => {}
        }
        read
    }
}

impl AsyncWrite for Inside {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        if written.is_ready() {
            self.heard();
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, bytes);
        if written.is_ready() {
            self.heard();
        }
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
