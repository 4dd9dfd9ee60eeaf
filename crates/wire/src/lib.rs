//! The contract between machines that upgrade at different times: topics and JSON payloads of `vagt/v1`.
//!
//! Readers are tolerant (unknown fields are passed over, one bad reading does not cost its neighbours), writers are strict. Golden files
//! in `tests/golden` only grow: what an old kit ever sent is understood for ever. Pure: no IO, no clock, no async.

mod code;
mod message;
mod payload;
mod topic;
mod trace;

pub use code::{Code, CodeError};
pub use message::{Arrived, CommandOutcome, Message, Receipt, Refused, RefusedPart, decode};
pub use payload::{Acks, Command, DeviceStatus, Due, Judged, Rejection, Status};
pub use topic::{Topic, TopicKind};
pub use trace::{NoTraceParent, TRACEPARENT, TraceParent};

/// The largest payload that is taken, in bytes.
pub const MESSAGE_BYTES_MAX: usize = 256 * 1024;
/// The most readings, and the most answers, of one message.
pub const MESSAGE_PARTS_MAX: usize = 2048;
/// The largest `seq`: what every JSON reader holds exactly.
pub const SEQ_MAX: u64 = (1 << 53) - 1;
