//! What the oximeters that talk without end share: packets of a stream to seconds, seconds to one measurement of a sitting (the file
//! `settle.rs`), and the live values for the person meanwhile.

use jiff::{Timestamp, civil::DateTime};
use vitals::{Flag, Vital};

use crate::{Channel, DecodeError, Heard, Measured, Output, Progress, Session, gatt, settle::Settle};

/// A refusal and its bytes.
pub type Refusal = (DecodeError, Vec<u8>);

/// What one packet says; nothing, if it has no values.
pub type Said = Result<Vec<Measured>, Refusal>;

/// When a sitting is said to be over.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// As soon as its measurement is.
    Measured,
    /// When the finger is out. A Bluetooth link that was closed before would be opened again, and measure the same finger again.
    FingerOut,
}

/// One device's live values.
pub struct Live {
    settle: Settle,
    end: End,
    /// The measurement was said, the end of the sitting not yet.
    end_owed: bool,
    /// Packets that make one sample, and how many of the next are there.
    per_sample: usize,
    packets: usize,
    last: Vec<Measured>,
    flags: Vec<Flag>,
}

impl Live {
    /// For a device that sends `per_second` samples a second, each of `per_sample` packets.
    pub fn new(per_sample: usize, per_second: usize, end: End) -> Self {
        let settle = Settle::new(per_second);
        Self { settle, end, end_owed: false, per_sample, packets: 0, last: Vec::new(), flags: Vec::new() }
    }

    /// For a device that measures this above all, and not a saturation.
    pub fn measuring(self, main: Vital) -> Self {
        Self { settle: self.settle.measuring(main), ..self }
    }

    /// A packet came. The last of a sample speaks for it, with the flags of all.
    pub fn packet(&mut self, now: Timestamp, values: Vec<Measured>) -> Vec<Output> {
        self.packets += 1;
        for flag in values.iter().flat_map(|one| &one.flags) {
            if !self.flags.contains(flag) {
                self.flags.push(flag.clone());
            }
        }
        self.last = values;
        if self.packets < self.per_sample {
            return Vec::new();
        }
        self.packets = 0;
        let flags = std::mem::take(&mut self.flags);
        let last = std::mem::take(&mut self.last);
        let sample = last.into_iter().map(|one| Measured { flags: flags.clone(), ..one }).collect();
        self.sample(now, sample)
    }

    fn sample(&mut self, now: Timestamp, sample: Vec<Measured>) -> Vec<Output> {
        let settled = self.settle.sample(now, sample.clone());
        let percent = self.settle.percent().filter(|_| self.settle.is_full_second());
        let progress = percent.map(|percent| Progress { values: sample, percent: Some(percent) });
        let mut outputs = self.with_end(settled);
        outputs.extend(progress.map(Output::Progress));
        outputs
    }

    fn with_end(&mut self, mut settled: Vec<Output>) -> Vec<Output> {
        if self.end == End::Measured {
            return settled;
        }
        let all = settled.len();
        settled.retain(|output| *output != Output::SittingEnd);
        self.end_owed |= settled.len() < all;
        if self.end_owed && self.settle.is_empty() {
            self.end_owed = false;
            settled.push(Output::SittingEnd);
        }
        settled
    }

    /// When silence means that the finger is out.
    pub fn silent_at(&self) -> Option<Timestamp> {
        self.settle.silent_at()
    }

    /// Time has passed.
    pub fn timed_out(&mut self, now: Timestamp) -> Vec<Output> {
        let settled = self.settle.timed_out(now);
        self.with_end(settled)
    }

    /// The device is gone.
    pub fn finish(&mut self) -> Vec<Output> {
        (self.packets, self.last, self.flags) = (0, Vec::new(), Vec::new());
        let settled = self.settle.finish();
        self.with_end(settled)
    }
}

/// Bytes, cut anywhere, to packets.
pub trait Stream: Send {
    /// Takes what came, and says what is complete. What it keeps for the next call is bounded.
    fn take(&mut self, bytes: &[u8]) -> Vec<Said>;

    /// Whether a packet can't be an accident; else it counts with its bytes, `packet_bytes`.
    fn certain(&self) -> bool {
        true
    }

    /// Bytes in a packet.
    fn packet_bytes(&self) -> usize;
}

/// A connection to a device that only streams.
pub struct Streaming<S> {
    stream: S,
    live: Live,
    heard: Heard,
    /// Bytes that are in no packet yet; at most a packet's.
    unframed: usize,
    /// What is sent when the link is up.
    hello: Option<(Channel, &'static [u8])>,
}

impl<S: Stream> Streaming<S> {
    /// A session that says `hello`, if there is one.
    pub fn new(stream: S, live: Live, hello: Option<(Channel, &'static [u8])>) -> Self {
        Self { stream, live, heard: Heard::default(), unframed: 0, hello }
    }

    /// Bytes came: what they say, and what is to be made of it.
    pub fn take(&mut self, now: Timestamp, bytes: &[u8]) -> Vec<Output> {
        let said = self.stream.take(bytes);
        self.judge(said.iter().filter(|one| one.is_ok()).count(), bytes.len());
        let live = &mut self.live;
        said.into_iter()
            .flat_map(|one| match one {
                Ok(values) => live.packet(now, values),
                Err((error, bytes)) => vec![Output::Refused { error, bytes }],
            })
            .collect()
    }

    /// What is left over of the bytes may be the beginning of a packet.
    fn judge(&mut self, packets: usize, bytes: usize) {
        let packet_bytes = self.stream.packet_bytes();
        self.unframed += bytes;
        if packets > 0 {
            self.unframed = self.unframed.saturating_sub(packets * packet_bytes);
            if self.stream.certain() { self.heard.certain() } else { self.heard.framed(packets * packet_bytes) }
        }
        if let Some(noise) = self.unframed.checked_sub(packet_bytes) {
            self.heard.noise(noise);
            self.unframed = packet_bytes;
        }
    }

    /// Something else than a packet was heard that only this device says.
    pub fn is_certain(&mut self) {
        self.heard.certain();
    }

    /// See [`Session::understands`].
    pub fn heard(&self) -> Heard {
        self.heard
    }
}

impl<S: Stream> Session for Streaming<S> {
    fn connected(&mut self, _now: Timestamp, _local: DateTime) -> Vec<Output> {
        self.hello.iter().map(|(channel, bytes)| Output::Write { channel: *channel, bytes: bytes.to_vec() }).collect()
    }

    fn received(&mut self, now: Timestamp, _channel: Channel, bytes: &[u8]) -> Vec<Output> {
        self.take(now, bytes)
    }

    fn timeout_at(&self) -> Option<Timestamp> {
        self.live.silent_at()
    }

    fn timed_out(&mut self, now: Timestamp) -> Vec<Output> {
        self.live.timed_out(now)
    }

    fn closed(&mut self, _now: Timestamp) -> Vec<Output> {
        self.live.finish()
    }

    fn understands(&self) -> Option<bool> {
        self.heard.understands()
    }
}

/// A value of a characteristic is one packet.
pub struct Values {
    what: &'static str,
    decode: fn(&[u8]) -> Result<Vec<Measured>, DecodeError>,
    /// Values that are no measurement and no error (a curve).
    ignore: fn(&[u8]) -> bool,
}

impl Values {
    /// Packets that `decode` reads, but those that are to be ignored.
    pub fn new(
        what: &'static str,
        decode: fn(&[u8]) -> Result<Vec<Measured>, DecodeError>,
        ignore: fn(&[u8]) -> bool,
    ) -> Self {
        Self { what, decode, ignore }
    }

    /// A session on them, with one value a second.
    pub fn open(self, hello: Option<(Channel, &'static [u8])>) -> Box<dyn Session> {
        let what = self.what;
        over_bluetooth(what, Streaming::new(self, Live::new(1, 1, End::FingerOut), hello))
    }
}

impl Stream for Values {
    fn take(&mut self, bytes: &[u8]) -> Vec<Said> {
        if (self.ignore)(bytes) {
            return Vec::new();
        }
        vec![(self.decode)(bytes).map_err(|error| (error, bytes.to_vec()))]
    }

    fn packet_bytes(&self) -> usize {
        1
    }
}

/// A streaming device on Bluetooth.
pub fn over_bluetooth<S: Stream + 'static>(what: &'static str, inner: Streaming<S>) -> Box<dyn Session> {
    Box::new(OfCharacteristic { what, inner })
}

/// A session of which only characteristics are heard.
struct OfCharacteristic<S> {
    what: &'static str,
    inner: Streaming<S>,
}

impl<S: Stream> Session for OfCharacteristic<S> {
    fn connected(&mut self, now: Timestamp, local: DateTime) -> Vec<Output> {
        self.inner.connected(now, local)
    }

    fn received(&mut self, now: Timestamp, channel: Channel, bytes: &[u8]) -> Vec<Output> {
        match gatt::characteristic(self.what, channel) {
            Ok(_) => self.inner.take(now, bytes),
            Err(error) => gatt::outputs(Err(error), bytes),
        }
    }

    fn timeout_at(&self) -> Option<Timestamp> {
        self.inner.timeout_at()
    }

    fn timed_out(&mut self, now: Timestamp) -> Vec<Output> {
        self.inner.timed_out(now)
    }

    fn closed(&mut self, now: Timestamp) -> Vec<Output> {
        self.inner.closed(now)
    }
}
