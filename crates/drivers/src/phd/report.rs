//! Reports: what a device says that it has measured, in fourteen forms.
//!
//! ```text
//! every report   request u16 (F000: of the device's own accord) | number u16 | list
//! fixed          (object u16, values in the order of the object's value map)
//! variable       (object u16, attributes with their ids)
//! grouped        values of all objects of a scanner, in the order of the scanner's map
//! of persons     (person u16, list of the same), and grouped (person u16, values)
//! ```
//!
//! 0D1D..0D20 come from the device itself, 0D22..0D2D from its scanners (unbuffered and buffered). The answer to a request for data carries a
//! report too: relative time u32, result u16, kind u16, its information.

use super::{
    codes::event,
    configuration::{Configuration, Object, standards},
    mder::{Attribute, Reader, attributes},
    specialisation::Standard,
};
use crate::DecodeError;

/// A person of whom nothing is known.
const NOBODY: u16 = 0xffff;

/// A report.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report<'a> {
    /// Who asked.
    pub request: u16,
    /// What was observed, in its order.
    pub observations: Vec<Observation<'a>>,
}

/// What was observed at one object, or at all objects of a scanner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observation<'a> {
    /// Of whom, of devices that tell people apart.
    pub person: Option<u16>,
    /// Which object.
    pub handle: u16,
    /// The values.
    pub values: Values<'a>,
}

/// Values in one of the three forms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Values<'a> {
    /// By the object's value map.
    Fixed(&'a [u8]),
    /// With their ids.
    Variable(Vec<Attribute<'a>>),
    /// By the scanner's map.
    Grouped(&'a [u8]),
}

/// Attributes of an object, whatever form they came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed<'a, 'c> {
    /// Of whom.
    pub person: Option<u16>,
    /// The object.
    pub object: &'c Object,
    /// Its attributes.
    pub attributes: Vec<Attribute<'a>>,
}

#[derive(Clone, Copy)]
enum Form {
    Fixed,
    Variable,
    Grouped,
}

/// The form of a kind of report and whether it tells people apart; `None` for what is no report.
fn form(kind: u16) -> Option<(Form, bool)> {
    let of_scanner = |offset| match offset {
        0 => (Form::Variable, false),
        1 => (Form::Fixed, false),
        2 => (Form::Grouped, false),
        3 => (Form::Variable, true),
        4 => (Form::Fixed, true),
        _ => (Form::Grouped, true),
    };
    match kind {
        event::FIXED => Some((Form::Fixed, false)),
        event::VARIABLE => Some((Form::Variable, false)),
        event::PERSONS_FIXED => Some((Form::Fixed, true)),
        event::PERSONS_VARIABLE => Some((Form::Variable, true)),
        event::UNBUFFERED..event::BUFFERED => Some(of_scanner(kind - event::UNBUFFERED)),
        event::BUFFERED..=event::BUFFERED_LAST => Some(of_scanner(kind - event::BUFFERED)),
        _ => None,
    }
}

impl<'a> Report<'a> {
    /// Reads a report of the object `handle`; `None` if this kind of event is none.
    ///
    /// # Errors
    /// [`DecodeError::Length`] when it doesn't hold together.
    pub fn parse(kind: u16, handle: u16, info: &'a [u8]) -> Result<Option<Self>, DecodeError> {
        let Some((form, persons)) = form(kind) else { return Ok(None) };
        let mut reader = Reader::new("20601 report", info);
        let request = reader.u16()?;
        reader.u16()?;
        let observations = if persons {
            let of_all = reader.list("20601 persons", |list| {
                let person = Some(list.u16()?).filter(|person| *person != NOBODY);
                match form {
                    Form::Grouped => Ok(vec![observation(list, form, handle, person)?]),
                    _ => list.list("20601 observations", |list| observation(list, form, handle, person)),
                }
            })?;
            of_all.concat()
        } else {
            reader.list("20601 observations", |list| observation(list, form, handle, None))?
        };
        reader.end()?;
        Ok(Some(Self { request, observations }))
    }

    /// Reads the answer to a request for data; `None` if there is no report in it.
    ///
    /// # Errors
    /// [`DecodeError::Length`] when it doesn't hold together.
    pub fn parse_response(handle: u16, info: &'a [u8]) -> Result<Option<Self>, DecodeError> {
        let mut reader = Reader::new("20601 data response", info);
        reader.u32()?;
        reader.u16()?;
        let (kind, report) = (reader.u16()?, reader.octets()?);
        reader.end()?;
        Self::parse(kind, handle, report)
    }

    /// The attributes of each object, and the handles of objects that the configuration doesn't have.
    ///
    /// # Errors
    /// [`DecodeError::Length`] when values don't fit their map.
    pub fn resolve<'c>(&self, of: &'c Configuration) -> Result<(Vec<Observed<'a, 'c>>, Vec<u16>), DecodeError> {
        let (mut observed, mut unknown) = (Vec::new(), Vec::new());
        for observation in &self.observations {
            match of.object(observation.handle) {
                Some(object) => observed.extend(observation.resolve(object, of, &mut unknown)?),
                None => unknown.push(observation.handle),
            }
        }
        Ok((observed, unknown))
    }

    /// The standard configuration that this report must be of, judged by which objects it holds in which form; `None` if there is none.
    ///
    /// # Errors
    /// When it may be of several, or has values of a length that none has.
    pub fn standard(&self) -> Result<Option<Configuration>, DecodeError> {
        let scored = || standards().map(|one| (self.fits(one), one)).filter(|(fits, _)| *fits > 0);
        let best = scored().map(|(fits, _)| fits).max();
        let mut candidates = scored().filter(|(fits, _)| Some(*fits) == best).map(|(_, one)| Configuration::of(one));
        let Some(first) = candidates.next() else { return self.check_lengths().map(|()| None) };
        if candidates.all(|other| self.reads_the_same(&first, &other)) {
            return Ok(Some(first));
        }
        let wanted = "its configuration before it, since several standard ones have such an object";
        let found = self.observations[0].handle.into();
        Err(DecodeError::Malformed { what: "20601 report", field: "object", found, wanted })
    }

    /// Is no object here that a standard configuration has, with values of another length?
    fn check_lengths(&self) -> Result<(), DecodeError> {
        let is_standard =
            |one: &Observation<'_>| standards().any(|of| Configuration::of(of).object(one.handle).is_some());
        let found = self.observations.iter().find_map(|one| match one.values {
            Values::Fixed(bytes) if is_standard(one) => Some(bytes.len()),
            _ => None,
        });
        let Some(found) = found.map(|found| u32::try_from(found).unwrap_or(u32::MAX)) else { return Ok(()) };
        let wanted = "one of a standard configuration, or the device's configuration before it";
        Err(DecodeError::Malformed { what: "20601 report", field: "length of the values", found, wanted })
    }

    /// How many of its observations could be of that configuration. The first object decides.
    fn fits(&self, standard: &Standard) -> usize {
        let configuration = Configuration::of(standard);
        let own = self.observations.iter().filter(|one| one.is_of(&configuration)).count();
        let more = self.observations.iter().filter(|one| standard.more.contains(&one.handle)).count();
        if own == 0 { 0 } else { own + more }
    }

    fn reads_the_same(&self, first: &Configuration, other: &Configuration) -> bool {
        let kind = |of: &Configuration, handle| of.object(handle).map(|object| object.kind);
        self.observations.iter().all(|one| kind(first, one.handle) == kind(other, one.handle))
    }
}

fn observation<'a>(
    list: &mut Reader<'a>,
    form: Form,
    scanner: u16,
    person: Option<u16>,
) -> Result<Observation<'a>, DecodeError> {
    let (handle, values) = match form {
        Form::Fixed => (list.u16()?, Values::Fixed(list.octets()?)),
        Form::Variable => (list.u16()?, Values::Variable(attributes(list)?)),
        Form::Grouped => (scanner, Values::Grouped(list.octets()?)),
    };
    Ok(Observation { person, handle, values })
}

impl<'a> Observation<'a> {
    fn resolve<'c>(
        &self,
        object: &'c Object,
        of: &'c Configuration,
        unknown: &mut Vec<u16>,
    ) -> Result<Vec<Observed<'a, 'c>>, DecodeError> {
        let person = self.person;
        let attributes = match &self.values {
            Values::Variable(attributes) => attributes.clone(),
            Values::Fixed(bytes) => {
                let mut reader = Reader::new("20601 fixed values", bytes);
                let attributes = by_map(&mut reader, &object.map)?;
                reader.end()?;
                attributes
            }
            Values::Grouped(bytes) => {
                let mut reader = Reader::new("20601 grouped values", bytes);
                let mut all = Vec::new();
                for (handle, map) in &object.scanned {
                    let attributes = by_map(&mut reader, map)?;
                    match of.object(*handle) {
                        Some(object) => all.push(Observed { person, object, attributes }),
                        None => unknown.push(*handle),
                    }
                }
                reader.end()?;
                return Ok(all);
            }
        };
        Ok(vec![Observed { person, object, attributes }])
    }

    fn is_of(&self, configuration: &Configuration) -> bool {
        let Some(object) = configuration.object(self.handle) else { return false };
        match &self.values {
            Values::Fixed(bytes) => bytes.len() == object.map.iter().map(|(_, len)| usize::from(*len)).sum::<usize>(),
            Values::Variable(attributes) => attributes.iter().any(|one| one.id == object.map[0].0),
            Values::Grouped(_) => false,
        }
    }
}

/// Values in the order of a map.
///
/// # Errors
/// [`DecodeError::Length`] when there are too few bytes.
pub fn by_map<'a>(reader: &mut Reader<'a>, map: &[(u16, u16)]) -> Result<Vec<Attribute<'a>>, DecodeError> {
    map.iter().map(|(id, len)| Ok(Attribute { id: *id, value: reader.take((*len).into())? })).collect()
}
