//! What is known of the device that talks: its configuration, its description and its clocks; and with that, what its APDUs say.

use jiff::civil::DateTime;

use super::{
    apdu::{Apdu, Body, Data, Event, operation},
    association::Request,
    codes::{action, event},
    configuration::Configuration,
    mds::Mds,
    observe,
    pmstore::Segment,
    report::Report,
    time::{Absolute, since},
};
use crate::{DecodeError, Measured};

/// What is known of a device.
#[derive(Debug, Default)]
pub struct Known {
    /// Its objects.
    pub configuration: Option<Configuration>,
    /// Its description.
    pub mds: Mds,
    /// The wall clock of the device's room now, where that is known.
    pub room: Option<DateTime>,
    /// Segments of its stores: the store's handle beside each.
    pub segments: Vec<(u16, Segment)>,
}

/// What a report says.
#[derive(Debug, Default)]
pub struct Said {
    /// What was measured.
    pub measured: Vec<Measured>,
    /// Objects that it names and the configuration doesn't have.
    pub unknown: Vec<u16>,
}

impl Known {
    /// What a report of the object `handle` says, at the device's relative time `at`.
    ///
    /// # Errors
    /// When it doesn't hold together, or what it is about can't be told.
    pub fn report(&self, report: &Report<'_>, at: Option<u32>) -> Result<Said, DecodeError> {
        let guessed = if self.configuration.is_none() { report.standard()? } else { None };
        let Some(configuration) = self.configuration.as_ref().or(guessed.as_ref()) else { return Ok(Said::default()) };
        let (observed, unknown) = report.resolve(configuration)?;
        let measured = observe::measured(&observed, configuration, &|then| self.local(at, then))?;
        Ok(Said { measured, unknown })
    }

    /// A relative time on the device's clock, or else the room's, when the device's relative time is `at` now.
    fn local(&self, at: Option<u32>, then: u32) -> Option<DateTime> {
        let by_device = match (self.mds.date_time, self.mds.relative_time) {
            (Some(Absolute::At(time)), Some(relative)) if self.room.is_none() || at.is_none() => Some((time, relative)),
            _ => None,
        };
        let (now, relative) = by_device.or_else(|| Some((self.room?, at?)))?;
        now.checked_sub(since(relative, then)).ok()
    }

    /// What a store's segment holds of measurements.
    ///
    /// # Errors
    /// When it doesn't hold together.
    pub fn stored(&self, segment: &Segment, entries: &[u8], count: u32) -> Result<Vec<Measured>, DecodeError> {
        let Some(configuration) = &self.configuration else { return Ok(Vec::new()) };
        let mut measured = Vec::new();
        for entry in segment.split(entries, count)? {
            let observed = segment.entry(entry, configuration)?;
            measured.extend(observe::measured(&observed, configuration, &|then| self.local(None, then))?);
        }
        Ok(measured.into_iter().map(Segment::mark).collect())
    }

    /// Takes in an APDU of an agent outside any association, as when somebody has recorded it; what it says was measured.
    ///
    /// # Errors
    /// The first thing that doesn't hold together.
    pub fn hear(&mut self, apdu: &Apdu<'_>) -> Result<Vec<Measured>, DecodeError> {
        match apdu {
            Apdu::AssociationRequest(body) => {
                let request = Request::parse(body)?;
                let id = request.information.map(|information| information.configuration);
                *self = Self { configuration: id.and_then(Configuration::standard), ..Self::default() };
                Ok(Vec::new())
            }
            Apdu::AssociationResponse(body) => super::association::Response::parse(body).map(|_| Vec::new()),
            Apdu::Data(data) => self.hear_data(data),
            Apdu::ReleaseRequest(_) | Apdu::ReleaseResponse(_) | Apdu::Abort(_) => Ok(Vec::new()),
        }
    }

    fn hear_data(&mut self, data: &Data<'_>) -> Result<Vec<Measured>, DecodeError> {
        match (data.operation, &data.body) {
            (operation::EVENT | operation::CONFIRMED_EVENT, Body::Event(event)) => self.hear_event(event),
            (operation::GET_RESULT, Body::Attributes(attributes)) if attributes.handle == 0 => {
                self.mds = Mds::parse(&attributes.list)?;
                let standard = self.mds.configuration.and_then(Configuration::standard);
                self.configuration = self.configuration.take().or(standard);
                Ok(Vec::new())
            }
            (operation::ACTION_RESULT, Body::Action(result)) => match result.kind {
                action::REQUEST_DATA => match Report::parse_response(result.handle, result.info)? {
                    Some(report) => self.report(&report, None).map(|said| said.measured),
                    None => Ok(Vec::new()),
                },
                action::SEGMENT_INFO => {
                    let segments = Segment::parse_all(result.info)?;
                    self.segments.retain(|(store, _)| *store != result.handle);
                    self.segments.extend(segments.into_iter().map(|segment| (result.handle, segment)));
                    Ok(Vec::new())
                }
                _ => Ok(Vec::new()),
            },
            _ => Ok(Vec::new()),
        }
    }

    fn hear_event(&mut self, heard: &Event<'_>) -> Result<Vec<Measured>, DecodeError> {
        match heard.kind {
            event::CONFIGURATION => {
                self.configuration = Some(Configuration::parse(heard.info)?);
                Ok(Vec::new())
            }
            event::SEGMENT_DATA => {
                let data = super::pmstore::SegmentData::parse(heard.info)?;
                let of = |(store, segment): &&(u16, Segment)| *store == heard.handle && segment.number == data.segment;
                match self.segments.iter().find(of) {
                    Some((_, segment)) => self.stored(segment, data.entries, data.count),
                    None => Ok(Vec::new()),
                }
            }
            kind => match Report::parse(kind, heard.handle, heard.info)? {
                Some(report) => self.report(&report, None).map(|said| said.measured),
                None => Ok(Vec::new()),
            },
        }
    }
}
