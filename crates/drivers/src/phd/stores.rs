//! Reading a device's stores: segment by segment, and forgotten on the device only when the core has acknowledged them.
//!
//! A store is listed, and each segment with entries transferred. When the core has acknowledged, the store is listed again: segments that hold
//! exactly what was transferred and acknowledged are cleared, and those to which something has been added are transferred again. A device
//! that doesn't say how many entries a segment holds keeps them, and so does one whose entries hold objects that it never told of. Segments of other people are neither read nor cleared, where it is known who
//! the patient is.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::{
    apdu::Event,
    known::Known,
    manager::Ask,
    mder::Reader,
    pmstore::{Segment, SegmentData},
};
use crate::{DecodeError, Measured};

/// How long the next part of a transfer may take.
pub const TRANSFER_WAIT: SignedDuration = SignedDuration::from_secs(20);
/// Stores of a device whose segments are remembered, at most.
const STORES_MAX: usize = 16;

/// What is known of a device's stores in this association.
#[derive(Debug, Default)]
pub struct Stores {
    listed: BTreeMap<u16, Vec<Segment>>,
    /// Segments that were transferred whole, with their entries and whether the core has acknowledged them.
    read: BTreeMap<(u16, u16), (u32, bool)>,
    transfer: Option<Transfer>,
}

#[derive(Debug)]
struct Transfer {
    store: u16,
    segment: u16,
    /// The next entry, unless one was missed.
    next: Option<u32>,
    until: Option<Timestamp>,
}

impl Stores {
    /// A store has been listed: what to ask for now.
    ///
    /// # Errors
    /// When the list doesn't hold together.
    pub fn listed(&mut self, store: u16, info: &[u8], user: Option<u8>) -> Result<Vec<Ask>, DecodeError> {
        let mut segments = Segment::parse_all(info)?;
        segments.retain(|segment| segment.may_be_of(user));
        if self.listed.len() >= STORES_MAX && !self.listed.contains_key(&store) {
            return Ok(Vec::new());
        }
        let (mut follows, mut clear) = (Vec::new(), Vec::new());
        for segment in segments.iter().filter(|segment| segment.entries != Some(0)) {
            match self.read.get(&(store, segment.number)) {
                Some((count, true)) if segment.entries == Some(*count) => clear.push(segment.number),
                Some((count, _)) if segment.entries.is_none_or(|entries| entries == *count) => {}
                _ => follows.push(Ask::Transfer(store, segment.number)),
            }
        }
        for number in &clear {
            self.read.remove(&(store, *number));
        }
        self.listed.insert(store, segments);
        follows.extend((!clear.is_empty()).then_some(Ask::Clear(store, clear)));
        Ok(follows)
    }

    /// A transfer has been asked for, and answered with this.
    pub fn begin(&mut self, now: Timestamp, store: u16, segment: u16, answer: &[u8]) {
        let mut reader = Reader::new("20601 transfer", answer);
        let agreed = matches!((reader.u16(), reader.u16()), (Ok(_), Ok(0)));
        let until = now.checked_add(TRANSFER_WAIT).ok();
        self.transfer = agreed.then_some(Transfer { store, segment, next: Some(0), until });
    }

    /// Entries came: what they say, and what is answered.
    ///
    /// # Errors
    /// When they don't hold together.
    pub fn hear(
        &mut self,
        now: Timestamp,
        event: &Event<'_>,
        known: &Known,
    ) -> Result<(Vec<Measured>, Vec<u8>), DecodeError> {
        let data = SegmentData::parse(event.info)?;
        let listed = self.listed.get(&event.handle).and_then(|all| all.iter().find(|one| one.number == data.segment));
        let measured = listed.map(|segment| known.stored(segment, data.entries, data.count)).transpose();
        let is_known = |segment: &&Segment| known.configuration.as_ref().is_some_and(|of| segment.is_known_to(of));
        let is_read = matches!(measured, Ok(Some(_))) && listed.filter(is_known).is_some();
        self.advance(now, event.handle, &data, is_read);
        Ok((measured?.unwrap_or_default(), data.confirmation()))
    }

    fn advance(&mut self, now: Timestamp, store: u16, data: &SegmentData<'_>, is_read: bool) {
        let of_this = |transfer: &&mut Transfer| (transfer.store, transfer.segment) == (store, data.segment);
        let Some(transfer) = self.transfer.as_mut().filter(of_this) else { return };
        let in_order = is_read && transfer.next == Some(data.index);
        transfer.next = data.index.checked_add(data.count).filter(|_| in_order);
        transfer.until = now.checked_add(TRANSFER_WAIT).ok();
        if data.is_last() || data.is_given_up() {
            let whole = transfer.next.filter(|_| !data.is_given_up());
            if let Some(count) = whole {
                self.read.insert((store, data.segment), (count, false));
            }
            self.transfer = None;
        }
    }

    /// Everything that was said has been acknowledged: the stores to list again.
    pub fn kept(&mut self) -> Vec<u16> {
        self.read.values_mut().for_each(|(_, acknowledged)| *acknowledged = true);
        let mut stores: Vec<u16> = self.read.keys().map(|(store, _)| *store).collect();
        stores.dedup();
        stores
    }

    /// Is something still to come?
    #[must_use]
    pub fn is_transferring(&self) -> bool {
        self.transfer.is_some()
    }

    /// When it is given up.
    #[must_use]
    pub fn until(&self) -> Option<Timestamp> {
        self.transfer.as_ref()?.until
    }

    /// Gives up what is due.
    pub fn give_up(&mut self, now: Timestamp) {
        self.transfer.take_if(|transfer| transfer.until.is_none_or(|until| until <= now));
    }
}
