//! The APDUs of IEEE 11073-20601, read and written.
//!
//! ```text
//! choice u16 | length u16 | so many bytes
//! E200 association request      version u32, list of (protocol u16, its information)
//! E300 association response     result u16, protocol u16, its information
//! E400 release request / E500 release response / E600 abort      reason u16
//! E700 presentation             length u16 | invoke id u16 | operation u16 | length u16 | so many bytes
//!      0100 event, 0101 confirmed event    object u16, relative time u32, kind u16, its information
//!      0103 get                            object u16, list of attribute ids (none: all)
//!      0104 set, 0105 confirmed set        object u16, list of (operator u16, attribute)
//!      0106 action, 0107 confirmed action  object u16, action u16, its arguments
//!      0201, 0203, 0205, 0207              their results: as the request, a get and a set with the attributes
//!      0300 error u16 and information      0400 reject: problem u16
//! ```
//!
//! Source: the type definitions and frames of signove/antidote.

use super::mder::{Attribute, Reader, attributes, sized, words};
use crate::DecodeError;

/// What an error is about.
pub const WHAT: &str = "20601 apdu";

/// The longest APDU that is taken, header and all: the standard's own limit.
pub const APDU_BYTES_MAX: usize = 64_512;
/// The longest association request or response that is taken.
pub const ASSOCIATION_BYTES_MAX: usize = 1024;
/// Choice and length.
pub const HEADER_BYTES: usize = 4;

/// Which kind of operation a presentation APDU carries.
pub mod operation {
    #![allow(missing_docs, reason = "the names say it")]
    pub const EVENT: u16 = 0x0100;
    pub const CONFIRMED_EVENT: u16 = 0x0101;
    pub const GET: u16 = 0x0103;
    pub const SET: u16 = 0x0104;
    pub const CONFIRMED_SET: u16 = 0x0105;
    pub const ACTION: u16 = 0x0106;
    pub const CONFIRMED_ACTION: u16 = 0x0107;
    pub const EVENT_RESULT: u16 = 0x0201;
    pub const GET_RESULT: u16 = 0x0203;
    pub const SET_RESULT: u16 = 0x0205;
    pub const ACTION_RESULT: u16 = 0x0207;
    pub const ERROR: u16 = 0x0300;
    pub const REJECT: u16 = 0x0400;
}

/// Why an association is aborted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum AbortReason {
    Undefined = 0,
    ResponseTimeout = 2,
    ConfigurationTimeout = 3,
}

/// An APDU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Apdu<'a> {
    /// The agent wants to be associated: what is in it is read by [`super::association`].
    AssociationRequest(&'a [u8]),
    /// The answer, which only a manager gives.
    AssociationResponse(&'a [u8]),
    /// Somebody wants to end the association, for this reason.
    ReleaseRequest(u16),
    /// It is ended.
    ReleaseResponse(u16),
    /// It has been ended without asking.
    Abort(u16),
    /// Anything within an association.
    Data(Data<'a>),
}

/// What a presentation APDU carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Data<'a> {
    /// Ties a result to its request.
    pub invoke_id: u16,
    /// One of [`operation`].
    pub operation: u16,
    /// The rest.
    pub body: Body<'a>,
}

/// The body of an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body<'a> {
    /// Something is reported, or the result of a report.
    Event(Event<'a>),
    /// Attributes are asked for.
    Get(Get),
    /// Attributes of an object.
    Attributes(Attributes<'a>),
    /// An action, or its result.
    Action(Action<'a>),
    /// A request to change something, which a manager never gets.
    Set(u16),
    /// An error or a rejection: its code.
    Refusal(u16),
}

/// A report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event<'a> {
    /// The object: 0 for the device itself, or a scanner or a store.
    pub handle: u16,
    /// The device's relative time now, in eighths of a millisecond.
    pub time: u32,
    /// One of [`super::codes::event`].
    pub kind: u16,
    /// What is reported.
    pub info: &'a [u8],
}

/// A request for attributes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Get {
    /// The object.
    pub handle: u16,
    /// Which; none means all.
    pub ids: Vec<u16>,
}

/// Attributes of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attributes<'a> {
    /// The object.
    pub handle: u16,
    /// The attributes.
    pub list: Vec<Attribute<'a>>,
}

/// An action, or its result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Action<'a> {
    /// The object.
    pub handle: u16,
    /// One of [`super::codes::action`].
    pub kind: u16,
    /// Its arguments.
    pub info: &'a [u8],
}

/// How long the APDU is that begins here; `None` while too little of it is there to tell.
///
/// # Errors
/// When no APDU begins like this.
pub fn len(begin: &[u8]) -> Result<Option<usize>, DecodeError> {
    let Some((choice, rest)) = begin.split_first_chunk::<2>() else { return Ok(None) };
    let choice = u16::from_be_bytes(*choice);
    let (least, most) = limits(choice)?;
    let Some((said, body)) = rest.split_first_chunk::<2>() else { return Ok(None) };
    let said = usize::from(u16::from_be_bytes(*said));
    if said < least || said + HEADER_BYTES > most {
        return Err(DecodeError::Length { what: WHAT, said, found: if said < least { least } else { most } });
    }
    if let (0xe700, Some((inner, _))) = (choice, body.split_first_chunk::<2>()) {
        let inner = usize::from(u16::from_be_bytes(*inner)) + 2;
        if inner != said {
            return Err(DecodeError::Length { what: WHAT, said, found: inner });
        }
    }
    Ok(Some(HEADER_BYTES + said))
}

/// The least body and the longest APDU of a choice.
fn limits(choice: u16) -> Result<(usize, usize), DecodeError> {
    match choice {
        0xe200 | 0xe300 => Ok((4, ASSOCIATION_BYTES_MAX)),
        0xe400 | 0xe500 | 0xe600 => Ok((2, HEADER_BYTES + 2)),
        0xe700 => Ok((8, APDU_BYTES_MAX)),
        _ => {
            let wanted = "0xe200 to 0xe700";
            Err(DecodeError::Malformed { what: WHAT, field: "choice", found: choice.into(), wanted })
        }
    }
}

impl<'a> Apdu<'a> {
    /// Reads a whole one.
    ///
    /// # Errors
    /// The first thing in it that doesn't hold together.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let wanted = len(bytes)?.unwrap_or(HEADER_BYTES);
        if wanted != bytes.len() {
            return Err(DecodeError::Length { what: WHAT, said: wanted, found: bytes.len() });
        }
        let (choice, body) = (u16::from_be_bytes([bytes[0], bytes[1]]), &bytes[HEADER_BYTES..]);
        let reason = || u16::from_be_bytes([body[0], body[1]]);
        Ok(match choice {
            0xe200 => Self::AssociationRequest(body),
            0xe300 => Self::AssociationResponse(body),
            0xe400 => Self::ReleaseRequest(reason()),
            0xe500 => Self::ReleaseResponse(reason()),
            0xe600 => Self::Abort(reason()),
            _ => Self::Data(Data::parse(&body[2..])?),
        })
    }
}

impl<'a> Data<'a> {
    fn parse(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(WHAT, bytes);
        let (invoke_id, operation) = (reader.u16()?, reader.u16()?);
        let mut part = reader.part("20601 operation")?;
        reader.end()?;
        let body = Body::parse(operation, &mut part)?;
        part.end()?;
        Ok(Self { invoke_id, operation, body })
    }
}

impl<'a> Body<'a> {
    fn parse(kind: u16, part: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(match kind {
            operation::EVENT | operation::CONFIRMED_EVENT | operation::EVENT_RESULT => {
                Self::Event(Event { handle: part.u16()?, time: part.u32()?, kind: part.u16()?, info: part.octets()? })
            }
            operation::GET => {
                Self::Get(Get { handle: part.u16()?, ids: part.list("20601 attribute ids", |list| list.u16())? })
            }
            operation::GET_RESULT | operation::SET_RESULT => {
                Self::Attributes(Attributes { handle: part.u16()?, list: attributes(part)? })
            }
            operation::SET | operation::CONFIRMED_SET => {
                let handle = part.u16()?;
                part.list("20601 modifications", |list| Ok((list.u16()?, list.u16()?, list.octets()?)))?;
                Self::Set(handle)
            }
            operation::ACTION | operation::CONFIRMED_ACTION | operation::ACTION_RESULT => {
                Self::Action(Action { handle: part.u16()?, kind: part.u16()?, info: part.octets()? })
            }
            operation::ERROR => {
                let code = part.u16()?;
                part.octets()?;
                Self::Refusal(code)
            }
            operation::REJECT => Self::Refusal(part.u16()?),
            found => {
                let wanted = "an operation from 0x0100 to 0x0400";
                return Err(DecodeError::Malformed { what: WHAT, field: "operation", found: found.into(), wanted });
            }
        })
    }
}

fn apdu(choice: u16, body: &[u8]) -> Vec<u8> {
    [&choice.to_be_bytes()[..], &sized(body)].concat()
}

fn data(invoke_id: u16, operation: u16, body: &[u8]) -> Vec<u8> {
    let inner = [&words(&[invoke_id, operation])[..], &sized(body)].concat();
    apdu(0xe700, &sized(&inner))
}

/// An association response; with what was chosen, or nothing if it is a rejection.
#[must_use]
pub fn association_response(result: u16, protocol: u16, information: &[u8]) -> Vec<u8> {
    apdu(0xe300, &[&words(&[result, protocol])[..], &sized(information)].concat())
}

/// The answer to a release request.
#[must_use]
pub fn release_response() -> Vec<u8> {
    apdu(0xe500, &words(&[0]))
}

/// The end of an association without asking.
#[must_use]
pub fn abort(reason: AbortReason) -> Vec<u8> {
    apdu(0xe600, &words(&[reason as u16]))
}

/// The confirmation of an event.
#[must_use]
pub fn event_result(invoke_id: u16, event: &Event<'_>, info: &[u8]) -> Vec<u8> {
    // a manager's own relative time is of no use to an agent
    let head = [&words(&[event.handle])[..], &0_u32.to_be_bytes(), &words(&[event.kind])].concat();
    data(invoke_id, operation::EVENT_RESULT, &[&head[..], &sized(info)].concat())
}

/// Asks for every attribute of an object.
#[must_use]
pub fn get_all(invoke_id: u16, handle: u16) -> Vec<u8> {
    data(invoke_id, operation::GET, &words(&[handle, 0, 0]))
}

/// Sets one attribute of an object.
#[must_use]
pub fn set(invoke_id: u16, handle: u16, id: u16, value: &[u8]) -> Vec<u8> {
    let change = [&words(&[0, id])[..], &sized(value)].concat();
    data(invoke_id, operation::CONFIRMED_SET, &[&words(&[handle, 1])[..], &sized(&change)].concat())
}

/// Has an object do something.
#[must_use]
pub fn action(invoke_id: u16, handle: u16, kind: u16, arguments: &[u8]) -> Vec<u8> {
    data(invoke_id, operation::CONFIRMED_ACTION, &[&words(&[handle, kind])[..], &sized(arguments)].concat())
}

/// An operation that can't be done, with the standard's number for why.
#[must_use]
pub fn error(invoke_id: u16, code: u16) -> Vec<u8> {
    data(invoke_id, operation::ERROR, &words(&[code, 0]))
}

/// An operation that is not understood, with the standard's number for why.
#[must_use]
pub fn reject(invoke_id: u16, problem: u16) -> Vec<u8> {
    data(invoke_id, operation::REJECT, &words(&[problem]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tape::{bytes, hex};

    #[track_caller]
    fn refused(frame: &str, wanted: &str) {
        assert_eq!(Apdu::parse(&bytes(frame)).unwrap_err().to_string(), wanted);
    }

    #[test]
    fn lengths_must_agree() {
        refused("e60000020000ff", "20601 apdu: its length says 6 bytes, its contents take 7");
        refused("e600000200", "20601 apdu: its length says 6 bytes, its contents take 5");
        refused("e6000003000000", "20601 apdu: its length says 3 bytes, its contents take 6");
        refused("e70000300002", "20601 apdu: its length says 48 bytes, its contents take 4");
        refused("e7000009000700010103000100", "20601 operation: its length says 1 bytes, its contents take 2");
        refused("e80000020000", "20601 apdu: choice is 0xe800, want 0xe200 to 0xe700");
        refused("", "20601 apdu: its length says 4 bytes, its contents take 0");
        assert!(len(&bytes("e700ffff")).is_err());
    }

    #[test]
    fn what_is_written_reads_back() {
        let event = Event { handle: 0, time: 7, kind: 0x0d1d, info: &[] };
        assert_eq!(hex(&event_result(0x4321, &event, &[])), "e7000012001043210201000a0000000000000d1d0000");
        assert_eq!(hex(&get_all(0x3456, 0)), "e700000e000c345601030006000000000000");
        assert_eq!(hex(&set(0, 0x37, 0x0953, &[0, 1])), "e7000016001400000105000e0037000100080000095300020001");
        for frame in [release_response(), abort(AbortReason::ResponseTimeout), error(1, 2), reject(3, 4)] {
            assert!(Apdu::parse(&frame).is_ok(), "{}", hex(&frame));
        }
        let set_time = action(1, 0, 0x0c17, &[0; 12]);
        let Ok(Apdu::Data(Data { body: Body::Action(read), .. })) = Apdu::parse(&set_time) else { panic!("an action") };
        assert_eq!((read.kind, read.info.len()), (0x0c17, 12));
    }
}
