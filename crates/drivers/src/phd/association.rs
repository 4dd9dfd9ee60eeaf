//! Association: who asks, with which configuration, and what it is answered.
//!
//! ```text
//! request   version u32 (bit 0: this one) | list of (protocol u16, information)
//! protocol  5079 is 20601; its information: protocol version u32 | encoding rules u16 | nomenclature version u32 | functional units u32 |
//!           system type u32 | system id | configuration u16 | how data are asked for u16, u8, u8 | options
//! response  result u16 | protocol u16 | its information, as the manager's; a rejection has neither
//! ```
//!
//! Refused are: an unknown association version (8), no 20601 among the protocols (4), no version, encoding (MDER) or nomenclature in common,
//! a peer that is no agent, or a configuration id that no agent may have (5), and a request that doesn't hold together (6).

use super::mder::{Attribute, Reader, attributes, sized, words};
use crate::DecodeError;

/// The protocol id of 20601.
pub const PROTOCOL_20601: u16 = 0x5079;
/// The only version of the association procedure, of the nomenclature, and the oldest of the protocol.
const VERSION_1: u32 = 0x8000_0000;
const MDER: u16 = 0x8000;
const AGENT: u32 = 0x0080_0000;
const MANAGER: u32 = 0x8000_0000;
/// Configuration ids from here on are reserved; 0 is a manager's.
const RESERVED_IDS: u16 = 0x8000;

/// Our own system id: one of the locally administered ones, since no maker's number is ours. A manager's id is never compared with anything.
const SYSTEM_ID: [u8; 8] = [0x02, b'V', b'A', b'G', b'T', 0, 0, 1];

/// A request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request<'a> {
    /// The association procedure's versions.
    pub version: u32,
    /// What 20601 would be spoken with, if it is offered.
    pub information: Option<Information<'a>>,
}

/// How 20601 would be spoken.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the layout above says it")]
pub struct Information<'a> {
    pub protocol_version: u32,
    pub encoding_rules: u16,
    pub nomenclature_version: u32,
    pub functional_units: u32,
    pub system_type: u32,
    pub system_id: &'a [u8],
    pub configuration: u16,
    pub request_modes: u16,
    pub options: Vec<Attribute<'a>>,
}

/// A response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response<'a> {
    /// 0 accepted, 3 accepted but the configuration is not known, all others refused.
    pub result: u16,
    /// With what; absent in a rejection.
    pub information: Option<Information<'a>>,
}

/// What a request is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the standard's names")]
pub enum Verdict {
    Accepted = 0,
    UnknownConfiguration = 3,
    NoCommonProtocol = 4,
    NoCommonParameter = 5,
    RejectedUnknown = 6,
    UnsupportedVersion = 8,
}

impl<'a> Information<'a> {
    fn parse(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new("20601 association information", bytes);
        let mut information = Self {
            protocol_version: reader.u32()?,
            encoding_rules: reader.u16()?,
            nomenclature_version: reader.u32()?,
            functional_units: reader.u32()?,
            system_type: reader.u32()?,
            system_id: reader.octets()?,
            configuration: reader.u16()?,
            request_modes: reader.u16()?,
            options: Vec::new(),
        };
        reader.take(2)?;
        information.options = attributes(&mut reader)?;
        reader.end()?;
        Ok(information)
    }
}

impl<'a> Request<'a> {
    /// Reads the body of a request.
    ///
    /// # Errors
    /// [`DecodeError::Length`] when it doesn't hold together.
    pub fn parse(body: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new("20601 association request", body);
        let version = reader.u32()?;
        let offered = reader.list("20601 protocols", |list| Ok((list.u16()?, list.octets()?)))?;
        reader.end()?;
        let ours = offered.iter().find(|(protocol, _)| *protocol == PROTOCOL_20601);
        let information = ours.map(|(_, information)| Information::parse(information)).transpose()?;
        Ok(Self { version, information })
    }

    /// What it is answered, by a manager that knows the configuration or doesn't.
    #[must_use]
    pub fn judge(&self, knows: impl FnOnce(&Information<'_>) -> bool) -> Verdict {
        if self.version & VERSION_1 == 0 {
            return Verdict::UnsupportedVersion;
        }
        let Some(information) = &self.information else { return Verdict::NoCommonProtocol };
        let common = information.protocol_version & VERSION_1 != 0
            && information.encoding_rules & MDER != 0
            && information.nomenclature_version & VERSION_1 != 0
            && information.system_type & AGENT != 0
            && (1..RESERVED_IDS).contains(&information.configuration);
        match common {
            false => Verdict::NoCommonParameter,
            true if knows(information) => Verdict::Accepted,
            true => Verdict::UnknownConfiguration,
        }
    }
}

impl<'a> Response<'a> {
    /// Reads the body of a response.
    ///
    /// # Errors
    /// [`DecodeError::Length`] when it doesn't hold together.
    pub fn parse(body: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new("20601 association response", body);
        let (result, protocol, information) = (reader.u16()?, reader.u16()?, reader.octets()?);
        reader.end()?;
        let ours = protocol == PROTOCOL_20601 && !information.is_empty();
        Ok(Self { result, information: ours.then(|| Information::parse(information)).transpose()? })
    }
}

/// The response that tells a verdict.
#[must_use]
pub fn response(verdict: Verdict) -> Vec<u8> {
    if !matches!(verdict, Verdict::Accepted | Verdict::UnknownConfiguration) {
        return super::apdu::association_response(verdict as u16, 0, &[]);
    }
    let mut information = VERSION_1.to_be_bytes().to_vec();
    information.extend(words(&[MDER]));
    information.extend([VERSION_1, 0, MANAGER].iter().flat_map(|word| word.to_be_bytes()));
    information.extend(sized(&SYSTEM_ID));
    // no configuration, nothing asked for, no options
    information.extend(words(&[0, 0, 0, 0, 0]));
    super::apdu::association_response(verdict as u16, PROTOCOL_20601, &information)
}

#[cfg(test)]
mod tests {
    use super::{
        super::apdu::{Apdu, HEADER_BYTES},
        *,
    };
    use crate::tape::{bytes, hex};

    /// The worked example of the scale, with one 16-bit word changed.
    fn judged(word: usize, value: u16) -> Verdict {
        let mut frame = bytes(
            "e2000032800000000001002a5079002680000000a0008000000040000000008000000008112233445566778805dc0001010000000000",
        );
        frame[word * 2..word * 2 + 2].copy_from_slice(&value.to_be_bytes());
        Request::parse(&frame[HEADER_BYTES..]).unwrap().judge(|information| information.configuration == 0x05dc)
    }

    #[test]
    fn an_agent_is_accepted_or_told_why_not() {
        assert_eq!(judged(22, 0x05dc), Verdict::Accepted);
        assert_eq!(judged(22, 0x4000), Verdict::UnknownConfiguration);
        assert_eq!(judged(22, 0x0000), Verdict::NoCommonParameter, "a configuration of a manager");
        assert_eq!(judged(22, 0x8000), Verdict::NoCommonParameter, "a reserved configuration");
        assert_eq!(judged(2, 0x4000), Verdict::UnsupportedVersion);
        assert_eq!(judged(6, 0xffff), Verdict::NoCommonProtocol);
        assert_eq!(judged(8, 0x0000), Verdict::NoCommonParameter, "the protocol's version");
        assert_eq!(judged(10, 0x2000), Verdict::NoCommonParameter, "packed encoding rules alone");
        assert_eq!(judged(11, 0x0000), Verdict::NoCommonParameter, "the nomenclature");
        assert_eq!(judged(15, 0x0000), Verdict::NoCommonParameter, "no agent");
    }

    #[test]
    fn a_response_says_the_verdict_and_who_we_are() {
        let accepted = response(Verdict::UnknownConfiguration);
        assert_eq!(
            hex(&accepted),
            "e300002c00035079002680000000800080000000000000008000000000080256414754000001\
             00000000000000000000"
        );
        let Ok(Apdu::AssociationResponse(body)) = Apdu::parse(&accepted) else { panic!("a response") };
        assert_eq!(Response::parse(body).unwrap().information.unwrap().system_type, MANAGER);
        assert_eq!(hex(&response(Verdict::NoCommonProtocol)), "e3000006000400000000");
    }
}
