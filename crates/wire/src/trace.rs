//! Whose way through the machines a message is part of, in the form of W3C Trace Context: the value that a kit sends as the MQTT 5 user
//! property `traceparent`, and that a proxy may send as the HTTP header of that name.
//!
//! What is sent in one sitting is one trace, named after the sitting, and the time that a message is with the kit is one span of it, named after
//! the message's number. So a message that comes without the property (MQTT 3.1.1, an old kit, a source that doesn't pass it on) is part of the
//! same trace as one that comes with it, sending again is no new trace, and who takes the message in can tell the kit's span for the kit.

use std::{fmt, str::FromStr};

use uuid::Uuid;
use vitals::SessionId;

/// The name of the user property, and of the HTTP header.
pub const TRACEPARENT: &str = "traceparent";

/// A trace, and the span of it that comes before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceParent {
    /// Which trace.
    pub trace: [u8; 16],
    /// The span that came before: the sender's, of this message.
    pub span: [u8; 8],
}

/// What a trace parent can't be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("found another text, want a W3C traceparent: 00-<32 hex digits>-<16 hex digits>-<2 hex digits>, not all zero")]
pub struct NoTraceParent;

impl TraceParent {
    /// The one of a message: its sitting's trace, and a span of its own, since a sitting may be sent in several messages.
    #[must_use]
    pub fn of(session: &SessionId, seq: u64) -> Self {
        let trace = *Uuid::new_v5(&Uuid::NAMESPACE_OID, session.as_bytes()).as_bytes();
        let mut span = [0; 8];
        span.copy_from_slice(&Uuid::new_v5(&Uuid::from_bytes(trace), &seq.to_be_bytes()).as_bytes()[..8]);
        Self { trace, span }
    }
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hex = |f: &mut fmt::Formatter<'_>, bytes: &[u8]| bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"));
        f.write_str("00-")?;
        hex(f, &self.trace)?;
        f.write_str("-")?;
        hex(f, &self.span)?;
        f.write_str("-01")
    }
}

impl FromStr for TraceParent {
    type Err = NoTraceParent;

    /// Version 00; a later one is read as far as this one is told of it.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.split('-');
        let mut part = || parts.next().ok_or(NoTraceParent);
        let (version, trace, span, flags) = (part()?, part()?, part()?, part()?);
        let is_one = version != "ff" && bytes::<1>(version).is_some() && bytes::<1>(flags).is_some();
        let (trace, span) = (bytes::<16>(trace).ok_or(NoTraceParent)?, bytes::<8>(span).ok_or(NoTraceParent)?);
        let exact = version != "00" || parts.next().is_none();
        (is_one && exact && trace != [0; 16] && span != [0; 8]).then_some(Self { trace, span }).ok_or(NoTraceParent)
    }
}

/// Exactly so many bytes of lower-case hex.
fn bytes<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digit = |c: u8| c.is_ascii_digit() || (b'a'..=b'f').contains(&c);
    if text.len() != 2 * N || !text.bytes().all(digit) {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, at) in bytes.iter_mut().zip((0..text.len()).step_by(2)) {
        *byte = u8::from_str_radix(&text[at..at + 2], 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_sitting_is_one_trace_and_goes_there_and_back() {
        let session: SessionId = "0198d6a2-7c1e-7a52-9d0e-3f1b2c4d5e6f".parse().unwrap();
        let parent = TraceParent::of(&session, 1);
        assert_eq!(parent, TraceParent::of(&session, 1));
        assert_ne!(parent.trace, *session.as_bytes(), "a trace does not tell the sitting's id");
        assert_eq!(parent.to_string().parse(), Ok(parent));
        let other: SessionId = "0198d6a2-7c1e-7a52-9d0e-3f1b2c4d5e70".parse().unwrap();
        assert_ne!(parent.trace, TraceParent::of(&other, 1).trace);
        let next = TraceParent::of(&session, 2);
        assert_eq!(parent.trace, next.trace, "a sitting is one trace");
        assert_ne!(parent.span, next.span, "each of its messages was with the kit for a time of its own");
    }

    #[test]
    fn what_is_no_trace_parent_is_none() {
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert_eq!(good.parse::<TraceParent>().unwrap().to_string(), good);
        assert!(format!("01{}-more", &good[2..]).parse::<TraceParent>().is_ok());
        let (zero_trace, zero_span) = (
            good.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32)),
            good.replace("00f067aa0ba902b7", &"0".repeat(16)),
        );
        let more = format!("{good}-more");
        let forbidden = format!("ff{}", &good[2..]);
        for wrong in
            ["", "00", &zero_trace, &zero_span, &more, &forbidden, &good.to_uppercase(), &good[..54], "00-é-x-01"]
        {
            assert_eq!(wrong.parse::<TraceParent>(), Err(NoTraceParent), "{wrong}");
        }
    }
}
