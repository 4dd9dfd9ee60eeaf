//! What a host asks of a connected device: reading, setting its clock, and the record access control point.

use std::sync::Arc;

use tokio::time::Instant;

use super::{
    BluezError,
    call::Reply,
    firmware::{Firmware, State, Step},
    gatt::Live,
};
use crate::{
    clock,
    devices::{
        datetime, information,
        oximeter::{self, RecordRequest},
    },
};

impl Firmware {
    pub(super) fn read(&mut self, live: &Live) -> Result<Vec<u8>, BluezError> {
        if !self.radio.connected() {
            return Err(BluezError::NotConnected("Not Connected".into()));
        }
        if !live.can(&["read"]) {
            return Err(BluezError::NotPermitted("Read not permitted".into()));
        }
        let shows = self.clock.shows(clock::now());
        match live.described.uuid {
            information::DATE_TIME => live.keep(&datetime::date_time(shows)),
            information::CURRENT_TIME => live.keep(&datetime::current_time(shows)),
            _ => {}
        }
        Ok(live.value())
    }

    pub(super) async fn written(&mut self, live: &Arc<Live>, value: &[u8], reply: Reply<()>) -> zbus::Result<()> {
        let refused = if !self.radio.connected() {
            Some(BluezError::NotConnected("Not Connected".into()))
        } else if self.armed.refuse_writes || !live.can(&["write"]) {
            Some(BluezError::NotPermitted("Write not permitted".into()))
        } else {
            None
        };
        if let Some(error) = refused {
            drop(reply.send(Err(error)));
            return Ok(());
        }
        match live.described.uuid {
            information::DATE_TIME | information::CURRENT_TIME => drop(reply.send(self.set_clock(value))),
            oximeter::RACP => return self.racp(live, value, reply).await,
            _ => drop(reply.send(Ok(()))),
        }
        Ok(())
    }

    fn set_clock(&mut self, value: &[u8]) -> Result<(), BluezError> {
        let time = datetime::read_date_time(value)
            .ok_or_else(|| BluezError::Failed("Operation failed with ATT error: 0x80 (out of range)".into()))?;
        self.clock.set(time, clock::now());
        Ok(())
    }

    async fn racp(&mut self, live: &Arc<Live>, value: &[u8], reply: Reply<()>) -> zbus::Result<()> {
        if !live.notifying() {
            let error = "Operation failed with ATT error: 0xfd (CCC improperly configured)";
            drop(reply.send(Err(BluezError::Failed(error.into()))));
            return Ok(());
        }
        drop(reply.send(Ok(())));
        let request = oximeter::read_racp(value);
        let records = self.memory.len();
        match request {
            RecordRequest::Report => {
                self.sent = 0;
                while self.sent < self.memory.len() && matches!(self.state, State::Connected(_)) {
                    self.send_next().await?;
                    if matches!(self.state, State::Connected(Step::Idle)) {
                        break;
                    }
                }
            }
            RecordRequest::Delete => {
                self.memory.clear();
                self.sent = 0;
            }
            RecordRequest::Count | RecordRequest::Refused { .. } => {}
        }
        self.radio.send(live, &oximeter::racp_answer(request, records)).await?;
        self.next = self.next.max(Instant::now() + self.tuning.linger);
        Ok(())
    }
}
