//! One kit of the load: MQTT 3.1.1 over a plain socket with TCP_NODELAY, written by hand so that the generator costs little.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    net::SocketAddr,
    rc::Rc,
    time::Instant,
};

use anyhow::{Context as _, ensure};
use jiff::Timestamp;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::Notify,
};
use vitals::KitId;

use super::{load::Shared, message::Writer};

/// What the pacer and the kit's task share.
pub(super) struct Kit {
    pub id: KitId,
    /// When each message that may now be sent was due; empty when it sends as fast as it is acknowledged.
    pub due: RefCell<VecDeque<Instant>>,
    /// Something became due.
    pub wake: Notify,
    seq: Cell<u64>,
    /// Up to which seq it was acknowledged: acknowledgements come in order.
    pub acknowledged: Cell<u64>,
    window: usize,
    writer: Writer,
}

/// The most messages that wait for one kit's window; beyond it the load can't keep the pace, and says so by its latency.
pub(super) const DUE_MAX: usize = 10_000;
/// The keep-alive; a kit that has nothing to send for so long would have to ping.
const KEEP_ALIVE_SECONDS: u16 = 3600;
const READ_BYTES: usize = 16 * 1024;

impl Kit {
    pub fn new(id: &KitId, number: usize, after: u64, readings: u16, window: u16) -> Rc<Self> {
        Rc::new(Self {
            id: id.clone(),
            due: RefCell::default(),
            wake: Notify::new(),
            seq: Cell::new(after),
            acknowledged: Cell::new(after),
            window: usize::from(window),
            writer: Writer::new(id, number, readings),
        })
    }

    /// Connects, signs in and listens for acknowledgements.
    pub async fn connect(&self, to: SocketAddr, password: &str) -> anyhow::Result<TcpStream> {
        let mut stream = TcpStream::connect(to).await.with_context(|| to.to_string())?;
        sign_in(&mut stream, &self.id, password).await?;
        Ok(stream)
    }

    /// Sends and reads acknowledgements for as long as the load lives.
    pub async fn run(self: Rc<Self>, mut stream: TcpStream, shared: Rc<Shared>) -> anyhow::Result<()> {
        let (mut text, mut out, mut read) = (String::new(), Vec::new(), Vec::with_capacity(READ_BYTES));
        let mut waiting = VecDeque::with_capacity(self.window);
        loop {
            self.send(&shared, &mut waiting, &mut text, &mut out);
            if !out.is_empty() {
                stream.write_all(&out).await?;
                out.clear();
            }
            tokio::select! {
                bytes = stream.read_buf(&mut read) => ensure!(bytes? > 0, "the service closed the connection of {}", self.id),
                () = self.wake.notified() => {}
            }
            let taken = packets(&read, &mut out, |packet| {
                if let Some((_, due)) = waiting.pop_front().filter(|(sent, _)| *sent == packet) {
                    self.acknowledged.set(self.acknowledged.get() + 1);
                    shared.acknowledged(due);
                }
            });
            read.drain(..taken);
        }
    }

    fn send(&self, shared: &Shared, waiting: &mut VecDeque<(u16, Instant)>, text: &mut String, out: &mut Vec<u8>) {
        while waiting.len() < self.window {
            let due = match shared.saturates() {
                Some(true) => Instant::now(),
                Some(false) => match self.due.borrow_mut().pop_front() {
                    Some(due) => due,
                    None => return,
                },
                None => return,
            };
            let seq = self.seq.get() + 1;
            self.seq.set(seq);
            let packet = (seq % 0xffff) as u16 + 1;
            self.writer.publish(seq, packet, shared.now(), text, out);
            waiting.push_back((packet, due));
            if self.writer.is_red(seq) {
                shared.watched.sent(&self.id, due);
            }
        }
    }

    /// The time of a message, as it is written.
    pub fn wall() -> Timestamp {
        crate::clock::now()
    }
}

/// Signs in on a new connection and listens for acknowledgements.
pub(super) async fn sign_in(stream: &mut TcpStream, kit: &KitId, password: &str) -> anyhow::Result<()> {
    stream.set_nodelay(true)?;
    let mut out = Vec::new();
    connect_packet(&mut out, kit.as_str(), password);
    stream.write_all(&out).await?;
    let mut answer = [0; 4];
    stream.read_exact(&mut answer).await?;
    ensure!(answer[0] == 0x20 && answer[3] == 0, "{kit} was refused: {answer:02x?}");
    out.clear();
    subscribe_packet(&mut out, &format!("vagt/v1/{kit}/acks"));
    stream.write_all(&out).await?;
    let mut answer = [0; 5];
    stream.read_exact(&mut answer).await?;
    ensure!(answer[0] == 0x90 && answer[4] <= 2, "{kit} may not subscribe: {answer:02x?}");
    Ok(())
}

/// Appends MQTT's variable length.
pub(super) fn length(out: &mut Vec<u8>, mut length: usize) {
    loop {
        let byte = (length % 128) as u8;
        length /= 128;
        out.push(if length > 0 { byte | 0x80 } else { byte });
        if length == 0 {
            return;
        }
    }
}

fn string(out: &mut Vec<u8>, text: &str) {
    out.extend(u16::try_from(text.len()).unwrap_or(u16::MAX).to_be_bytes());
    out.extend(text.as_bytes());
}

fn connect_packet(out: &mut Vec<u8>, kit: &str, password: &str) {
    let mut body = Vec::new();
    string(&mut body, "MQTT");
    body.extend([4, 0xc2]);
    body.extend(KEEP_ALIVE_SECONDS.to_be_bytes());
    string(&mut body, kit);
    string(&mut body, kit);
    string(&mut body, password);
    out.push(0x10);
    length(out, body.len());
    out.extend(body);
}

fn subscribe_packet(out: &mut Vec<u8>, topic: &str) {
    out.push(0x82);
    length(out, 2 + 2 + topic.len() + 1);
    out.extend(1_u16.to_be_bytes());
    string(out, topic);
    out.push(1);
}

/// Reads whole packets: tells of each PUBACK, answers each PUBLISH. Gives how many bytes they took.
fn packets(read: &[u8], out: &mut Vec<u8>, mut acknowledged: impl FnMut(u16)) -> usize {
    let mut taken = 0;
    while let Some((kind, body, size)) = packet(&read[taken..]) {
        match (kind >> 4, body) {
            (4, [high, low, ..]) => acknowledged(u16::from_be_bytes([*high, *low])),
            (3, body) if kind & 0x06 != 0 => {
                let topic = body.get(..2).map_or(0, |length| usize::from(u16::from_be_bytes([length[0], length[1]])));
                if let Some(id) = body.get(2 + topic..4 + topic) {
                    out.extend([0x40, 2, id[0], id[1]]);
                }
            }
            _ => {}
        }
        taken += size;
    }
    taken
}

/// The first packet, if it is all there: its first byte, its body, its whole size.
fn packet(read: &[u8]) -> Option<(u8, &[u8], usize)> {
    let (mut length, mut at) = (0, 1);
    loop {
        let byte = *read.get(at)?;
        length |= usize::from(byte & 0x7f) << (7 * (at - 1));
        at += 1;
        if byte & 0x80 == 0 || at > 4 {
            break;
        }
    }
    Some((read[0], read.get(at..at + length)?, at + length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_whole_packets_only_and_answers_publishes() {
        let mut read = vec![0x40, 2, 0, 7, 0x32, 8, 0, 3, b'a', b'/', b'b', 1, 2, b'x', 0x40, 2, 0];
        let (mut out, mut acks) = (Vec::new(), Vec::new());
        let taken = packets(&read, &mut out, |id| acks.push(id));
        assert_eq!((taken, &acks[..], &out[..]), (14, &[7][..], &[0x40, 2, 1, 2][..]));
        read.drain(..taken);
        read.push(8);
        packets(&read, &mut out, |id| acks.push(id));
        assert_eq!(acks, [7, 8]);
    }

    #[test]
    fn writes_lengths_as_mqtt_does() {
        for (number, bytes) in [(0, vec![0]), (127, vec![127]), (128, vec![0x80, 1]), (16_384, vec![0x80, 0x80, 1])] {
            let mut out = Vec::new();
            length(&mut out, number);
            assert_eq!(out, bytes);
        }
    }
}
