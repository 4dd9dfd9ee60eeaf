//! What a host asks of a connected device: reading, setting its clock, and the record access control point.

use std::sync::Arc;

use serde_json::json;
use tokio::time::Instant;

use super::{
    BluezError,
    call::Reply,
    firmware::{Firmware, Report, State, Step, VALUE_EVERY},
    gatt::Live,
};
use crate::{
    clock,
    devices::{
        Heard, Memory, datetime, elapsed_time, information,
        racp::{self, Dialect, Request, Which},
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
            elapsed_time::CURRENT_ELAPSED_TIME => live.keep(&elapsed_time::current(shows, self.clock.is_set())),
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
            information::DATE_TIME | information::CURRENT_TIME => {
                drop(reply.send(self.set_clock(datetime::read_date_time(value))));
            }
            elapsed_time::CURRENT_ELAPSED_TIME => drop(reply.send(self.set_clock(elapsed_time::written(value)))),
            racp::POINT => return self.record_access(live, value, reply).await,
            uuid => match self.model.control.as_ref().filter(|control| control.point == uuid) {
                Some(control) => return self.controlled(live, (control.heard)(value), reply).await,
                None => drop(reply.send(Ok(()))),
            },
        }
        Ok(())
    }

    fn set_clock(&mut self, written: Option<jiff::civil::DateTime>) -> Result<(), BluezError> {
        let time = written.ok_or_else(|| att_error("0x80 (out of range)"))?;
        self.clock.set(time, clock::now());
        for kept in &mut self.memory {
            kept.older_clock = true;
        }
        Ok(())
    }

    /// Something was written to the point that the model has for it.
    async fn controlled(&mut self, live: &Arc<Live>, heard: Heard, reply: Reply<()>) -> zbus::Result<()> {
        if heard.answer.is_some() && !live.notifying() {
            drop(reply.send(Err(att_error("0xfd (CCC improperly configured)"))));
            return Ok(());
        }
        drop(reply.send(Ok(())));
        if let Some(answer) = &heard.answer {
            self.radio.send(live, answer).await?;
        }
        if heard.completes {
            self.live_body = None;
            self.teller.happened("completed", &self.identity).await;
        }
        if heard.opens {
            self.open = true;
            self.begin_to_send();
        }
        Ok(())
    }

    async fn record_access(&mut self, live: &Arc<Live>, value: &[u8], reply: Reply<()>) -> zbus::Result<()> {
        let Memory::Asked { dialect, .. } = self.model.memory else {
            drop(reply.send(Err(BluezError::NotSupported("Operation is not supported".into()))));
            return Ok(());
        };
        let request = racp::read(value, dialect);
        let busy = std::mem::take(&mut self.armed.busy_records) || (self.report.is_some() && request != Request::Abort);
        let refused = match (live.notifying(), busy) {
            (false, _) => Some("0xfd (CCC improperly configured)"),
            (true, true) => Some("0xfe (procedure already in progress)"),
            (true, false) => None,
        };
        if let Some(code) = refused {
            drop(reply.send(Err(att_error(code))));
            return Ok(());
        }
        drop(reply.send(Ok(())));
        let request = match request {
            Request::Refused { .. } => request,
            _ if self.armed.refuse_records => Request::Refused { opcode: value[0], code: racp::OPCODE_NOT_SUPPORTED },
            _ => request,
        };
        if let Some(answer) = self.asked_for_records(request, dialect).await {
            self.radio.send(live, &answer).await?;
            if !matches!(self.state, State::Connected(Step::Sending)) {
                self.next = self.next.max(Instant::now() + self.tuning.linger);
            }
        }
        Ok(())
    }

    /// The answer, unless there are records to be sent before it.
    async fn asked_for_records(&mut self, request: Request, dialect: Dialect) -> Option<Vec<u8>> {
        let stored = self.stored();
        match request {
            Request::Refused { opcode, code } => Some(racp::ended(opcode, code)),
            Request::Count(which) => Some(racp::counted(which.of(&stored).len(), dialect)),
            Request::Delete(which) => Some(self.delete(&which.of(&stored)).await),
            Request::Abort => {
                self.report = None;
                Some(racp::aborted())
            }
            Request::Report(which) => {
                self.report(which, &stored);
                None
            }
        }
    }

    fn report(&mut self, which: Which, stored: &[u64]) {
        self.report = Some(Report { left: which.of(stored).into(), sent: 0 });
        if matches!(self.state, State::Connected(_)) {
            self.go_on(Step::Sending, VALUE_EVERY);
        }
    }

    async fn delete(&mut self, numbers: &[u64]) -> Vec<u8> {
        self.memory.retain(|kept| !numbers.contains(&kept.record.number));
        let line = json!({ "event": "deleted", "device": self.identity.kind, "records": numbers });
        self.teller.tell(line).await;
        racp::deleted(numbers.len())
    }
}

fn att_error(code: &str) -> BluezError {
    BluezError::Failed(format!("Operation failed with ATT error: {code}"))
}
