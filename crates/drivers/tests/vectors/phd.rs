//! Frames of IEEE 11073-20601.

use drivers::{
    float::{float, sfloat},
    phd::{
        apdu::{Apdu, Body, Data, Event, HEADER_BYTES, operation},
        association::{Information, Request, Response},
        codes::event,
        configuration::{Configuration, Object},
        mder::Reader,
        mds::Mds,
        report::{Report, Values},
        time::Absolute,
    },
};

use super::*;

pub fn apdu(bytes: &[u8], expect: &serde_json::Map<String, Json>) -> Result<Facts, DecodeError> {
    let measured = drivers::decode(drivers::find("phd-20601").unwrap(), None, &[bytes.to_vec()])?;
    let mut facts = Facts::from([("apdu", json!(name(bytes)))]);
    match Apdu::parse(bytes)? {
        Apdu::AssociationRequest(body) => facts.extend(association(&Request::parse(body)?.information.unwrap())),
        Apdu::AssociationResponse(body) => {
            let response = Response::parse(body)?;
            facts.insert("result", json!(response.result));
            facts.extend(association(&response.information.unwrap()));
        }
        Apdu::ReleaseRequest(reason) | Apdu::ReleaseResponse(reason) => drop(facts.insert("reason", json!(reason))),
        Apdu::Abort(reason) => {
            let names = ["undefined", "buffer-overflow", "response-timeout", "config-timeout"];
            facts.insert("name", json!(names[usize::from(reason)]));
            facts.insert("reason", json!(reason));
        }
        Apdu::Data(data) => facts.extend(operation_facts(&data, &measured, expect)?),
    }
    assert!(bytes.len() > HEADER_BYTES);
    Ok(facts)
}

fn name(bytes: &[u8]) -> &'static str {
    ["aarq", "aare", "rlrq", "rlre", "abrt", "prst"][usize::from(bytes[0] - 0xe2)]
}

fn hex(bytes: &[u8]) -> Json {
    json!(bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
}

fn word(word: u16) -> Json {
    json!(format!("{word:04x}"))
}

fn association(information: &Information<'_>) -> Facts {
    Facts::from([("system_id", hex(information.system_id)), ("config_id", word(information.configuration))])
}

fn operation_facts(
    data: &Data<'_>,
    measured: &[Measured],
    expect: &serde_json::Map<String, Json>,
) -> Result<Facts, DecodeError> {
    let mut facts = Facts::from([("invoke_id", word(data.invoke_id)), ("ro", word(data.operation))]);
    match &data.body {
        Body::Event(told) if data.operation == operation::EVENT_RESULT => {
            facts.insert("event", word(told.kind));
            facts.insert("handle", json!(told.handle));
            if told.kind == event::CONFIGURATION {
                let mut reply = Reader::new("reply", told.info);
                facts.insert("config_id", word(reply.u16()?));
                facts.insert("config_result", word(reply.u16()?));
                reply.end()?;
            }
        }
        Body::Event(told) => facts.extend(event_facts(told, measured, expect)?),
        Body::Get(get) => drop(facts.insert("handle", json!(get.handle))),
        Body::Attributes(attributes) => {
            facts.insert("handle", json!(attributes.handle));
            let mds = Mds::parse(&attributes.list)?;
            facts.insert("manufacturer", json!(mds.about.manufacturer));
            facts.insert("model", json!(mds.about.model));
            facts.insert("serial", json!(mds.about.serial_number));
            facts.insert("system_id", hex(&mds.system_id));
            facts.extend(mds.configuration.map(|id| ("config_id", word(id))));
            facts.extend(mds.date_time.map(|time| ("t", json!(time.or_flag().0.map(|time| time.to_string())))));
        }
        Body::Action(action) => {
            facts.insert("handle", json!(action.handle));
            facts.insert("action", word(action.kind));
            if data.operation == operation::ACTION_RESULT {
                let report = Report::parse_response(action.handle, action.info)?.unwrap();
                facts.extend(observations(&report, measured, expect));
            }
        }
        Body::Set(handle) => drop(facts.insert("handle", json!(handle))),
        Body::Refusal(code) => drop(facts.insert("reason", json!(code))),
    }
    Ok(facts)
}

fn event_facts(
    told: &Event<'_>,
    measured: &[Measured],
    expect: &serde_json::Map<String, Json>,
) -> Result<Facts, DecodeError> {
    let mut facts = Facts::from([("event", word(told.kind)), ("handle", json!(told.handle))]);
    if told.kind == event::CONFIGURATION {
        let configuration = Configuration::parse(told.info)?;
        facts.insert("config_id", word(configuration.id));
        facts.insert("objects", configuration.objects.iter().map(object).collect());
    }
    if let Some(report) = Report::parse(told.kind, told.handle, told.info)? {
        facts.extend(observations(&report, measured, expect));
    }
    Ok(facts)
}

fn object(object: &Object) -> Json {
    let kind = format!("{:04x}{:04x}", object.kind.0, object.kind.1);
    json!({ "class": object.class, "handle": object.handle, "type": kind, "unit": format!("{:04x}", object.unit) })
}

/// What a fixed observation holds, told by its length alone; what the driver made of the report must be among it, in its order.
fn observations(report: &Report<'_>, measured: &[Measured], expect: &serde_json::Map<String, Json>) -> Facts {
    let mut facts = Facts::from([("req_id", word(report.request))]);
    let read: Vec<(u16, Vec<Value>, Option<String>)> = report
        .observations
        .iter()
        .filter_map(|one| match &one.values {
            Values::Fixed(bytes) => Some((one.handle, values(bytes), time(bytes))),
            _ => None,
        })
        .collect();
    let mut all = read.iter().flat_map(|(_, values, _)| values);
    assert!(measured.iter().all(|one| all.any(|value| *value == one.value)), "{measured:?} of {read:?}");
    if let Some(wanted) = expect.get("obs").and_then(Json::as_array) {
        assert!(!measured.is_empty(), "nothing of {wanted:?}");
        let same = wanted.len() == read.len() && wanted.iter().zip(&read).all(|(wanted, read)| is_same(wanted, read));
        facts.insert("obs", if same { json!(wanted) } else { json!(format!("{read:?}")) });
    }
    facts
}

fn is_same(wanted: &Json, (handle, values, time): &(u16, Vec<Value>, Option<String>)) -> bool {
    let numbers = wanted["value"].as_array().cloned().unwrap_or_else(|| vec![wanted["value"].clone()]);
    let numbers: Vec<Value> = numbers.iter().map(|one| number(one.as_number().unwrap())).collect();
    wanted["h"] == json!(handle) && numbers == *values && wanted.get("t").is_none_or(|wanted| *wanted == json!(time))
}

fn values(bytes: &[u8]) -> Vec<Value> {
    let short = |at: usize| sfloat(u16::from_be_bytes([bytes[at], bytes[at + 1]]));
    match bytes.len() {
        10 => short(0).into_iter().collect(),
        12 => float(u32::from_be_bytes(bytes[..4].try_into().unwrap())).unwrap().into_iter().collect(),
        18 => [4, 6, 8].into_iter().filter_map(short).collect(),
        _ => Vec::new(),
    }
}

fn time(bytes: &[u8]) -> Option<String> {
    let eight = bytes.len().checked_sub(8).map(|at| &bytes[at..])?;
    Absolute::parse(eight).unwrap().or_flag().0.map(|time| time.to_string())
}
