//! What a connected device sends: the stream of what is being measured, then its records, and what goes wrong with them on command.

use tokio::time::Instant;

use std::{sync::Arc, time::Duration};

use super::{
    firmware::{Firmware, IDLE_HANG_UP_AFTER, Step, VALUE_EVERY},
    gatt::Live,
};
use crate::devices::{Frame, Memory, racp};

impl Firmware {
    pub(super) async fn send_next(&mut self) -> zbus::Result<()> {
        if self.send_stream().await? {
            return Ok(());
        }
        match self.next_due() {
            Some(index) => self.send_record(index).await,
            None => self.nothing_more().await,
        }
    }

    /// Which record is next.
    fn next_due(&self) -> Option<usize> {
        if let Some(report) = &self.report {
            let place = |number: &u64| self.memory.iter().position(|kept| kept.record.number == *number);
            return report.left.iter().find_map(place);
        }
        if !self.is_listened_to() {
            return None;
        }
        let unasked = |stored: bool| match self.model.memory {
            Memory::Pushed => true,
            Memory::Asked { live, .. } => live && !stored,
        };
        self.memory.iter().position(|kept| !kept.sent && unasked(kept.record.stored))
    }

    fn is_listened_to(&self) -> bool {
        self.open && self.radio.characteristic(self.model.measurement).is_some_and(|live| live.notifying())
    }

    async fn nothing_more(&mut self) -> zbus::Result<()> {
        if let (Some(report), Memory::Asked { dialect, .. }) = (self.report.take(), self.model.memory) {
            self.go_on(Step::Sending, VALUE_EVERY);
            return self.answer(&racp::reported(report.sent, dialect)).await;
        }
        if self.is_listened_to() && !self.is_asked() {
            self.go_on(Step::Lingering, self.tuning.linger);
        } else {
            self.go_on(Step::Idle, IDLE_HANG_UP_AFTER);
        }
        Ok(())
    }

    async fn answer(&self, bytes: &[u8]) -> zbus::Result<()> {
        match self.radio.characteristic(racp::POINT) {
            Some(live) => self.radio.send(live, bytes).await,
            None => Ok(()),
        }
    }

    async fn send_record(&mut self, index: usize) -> zbus::Result<()> {
        let frames = (self.model.frames)(&self.memory[index]);
        if frames.is_empty() {
            self.memory.remove(index);
            return Ok(());
        }
        let frames = self.listened_to(frames);
        if self.spoil(&frames).await? {
            return Ok(());
        }
        for (live, bytes) in &frames {
            self.radio.send(live, bytes).await?;
        }
        let all: Vec<u8> = frames.into_iter().flat_map(|(_, bytes)| bytes).collect();
        self.memory[index].sent = true;
        let record = self.memory[index].record.clone();
        self.teller.sent(&self.identity, &record, &all, self.attempts).await;
        if let Some(report) = &mut self.report {
            report.left.retain(|number| *number != record.number);
            report.sent += 1;
        }
        if std::mem::take(&mut self.armed.cut_after_value) {
            return self.hang_up(false, "link_lost").await;
        }
        self.next = Instant::now() + VALUE_EVERY;
        Ok(())
    }

    /// Those of characteristics that somebody has subscribed to.
    fn listened_to(&self, frames: Vec<Frame>) -> Vec<(Arc<Live>, Vec<u8>)> {
        let live = |uuid| self.radio.characteristic(uuid).filter(|live| live.notifying()).cloned();
        frames.into_iter().filter_map(|(uuid, bytes)| Some((live(uuid)?, bytes))).collect()
    }

    /// While it is measured: one value after another, to whoever listens to them.
    async fn send_stream(&mut self) -> zbus::Result<bool> {
        let (Some(stream), Some((body, left @ 1..))) = (&self.model.stream, self.live_body) else { return Ok(false) };
        let live = self.radio.characteristic(stream.characteristic).filter(|live| live.notifying()).cloned();
        let (Some(live), Some(bytes)) = (live, (stream.encode)(body, left)) else { return Ok(false) };
        self.live_body = Some((body, left - 1));
        self.radio.send(&live, &bytes).await?;
        self.next = Instant::now() + Duration::from_millis(stream.millis.into());
        Ok(true)
    }

    /// The faults that are due with this record. True when the link is gone.
    async fn spoil(&mut self, frames: &[(Arc<Live>, Vec<u8>)]) -> zbus::Result<bool> {
        let Some((live, bytes)) = frames.first() else { return Ok(false) };
        if std::mem::take(&mut self.armed.garbage) {
            self.radio.send(live, &[0xff, 0x5a, 0x00, 0xff, 0x81, 0x7e]).await?;
        }
        if std::mem::take(&mut self.armed.truncate) {
            self.radio.send(live, &bytes[..bytes.len() - 3]).await?;
        }
        match self.armed.cut_in_record {
            None => Ok(false),
            Some(0) => {
                self.armed.cut_in_record = None;
                self.send_half(frames).await?;
                self.hang_up(false, "link_lost").await?;
                Ok(true)
            }
            Some(more) => {
                self.armed.cut_in_record = Some(more - 1);
                Ok(false)
            }
        }
    }

    /// Half of its values, or half of its only one.
    async fn send_half(&self, frames: &[(Arc<Live>, Vec<u8>)]) -> zbus::Result<()> {
        if let [(live, bytes)] = frames {
            return self.radio.send(live, &bytes[..bytes.len() / 2]).await;
        }
        for (live, bytes) in &frames[..frames.len() / 2] {
            self.radio.send(live, bytes).await?;
        }
        Ok(())
    }
}
