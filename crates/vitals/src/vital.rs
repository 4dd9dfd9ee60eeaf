//! What is measured: one list, with each vital's canonical unit and its codes in LOINC, IEEE 11073 (MDC) and the Danish NPU/MCS.
//!
//! Codes: HL7 FHIR vital signs, IEEE 11073-10101 and the Danish national infrastructure's concept maps. `None` where no code could be
//! confirmed from a public source; none is guessed.

use std::{fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Unit;

/// One vital sign. Its wire name is the variant in snake case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "VITALS describes each")]
pub enum Vital {
    Spo2,
    Pulse,
    RespRate,
    Temperature,
    Systolic,
    Diastolic,
    MeanPressure,
    Weight,
    Fev1,
    Fvc,
    Fev6,
    Pef,
    Fev1Fvc,
    PerfusionIndex,
    OxygenFlow,
    Glucose,
}

/// What there is to know about a vital.
#[derive(Clone, Copy, Debug)]
pub struct VitalInfo {
    /// Which vital.
    pub vital: Vital,
    /// Its name on the wire and in configuration.
    pub name: &'static str,
    /// Its name in an English sentence.
    pub label: &'static str,
    /// The unit in which it is stored and judged.
    pub unit: Unit,
    /// Units that are converted into the canonical one.
    pub accepts: &'static [Unit],
    /// LOINC code.
    pub loinc: Option<&'static str>,
    /// IEEE 11073-10101 code, partition x 65536 + term.
    pub mdc: Option<u32>,
    /// Danish NPU or MedCom MCS code.
    pub npu: Option<&'static str>,
}

type V = Vital;
type U = Unit;

/// Every vital, in the order of the contract.
#[rustfmt::skip]
pub const VITALS: &[VitalInfo] = &[
    row(V::Spo2,           "spo2",            "SpO2",               U::Percent,           &[],                              Some("59408-5"), Some(150_456), Some("NPU03011")),
    row(V::Pulse,          "pulse",           "pulse",              U::PerMinute,         &[],                              Some("8867-4"),  Some(149_530), Some("NPU21692")),
    row(V::RespRate,       "resp_rate",       "respiratory rate",   U::PerMinute,         &[],                              Some("9279-1"),  Some(151_562), Some("MCS88122")),
    row(V::Temperature,    "temperature",     "temperature",        U::Celsius,           &[U::Fahrenheit],                 Some("8310-5"),  Some(150_364), Some("NPU08676")),
    row(V::Systolic,       "systolic",        "systolic pressure",  U::MillimetreMercury, &[U::Kilopascal],                 Some("8480-6"),  Some(150_021), Some("MCS88019")),
    row(V::Diastolic,      "diastolic",       "diastolic pressure", U::MillimetreMercury, &[U::Kilopascal],                 Some("8462-4"),  Some(150_022), Some("MCS88020")),
    row(V::MeanPressure,   "mean_pressure",   "mean pressure",      U::MillimetreMercury, &[U::Kilopascal],                 Some("8478-0"),  Some(150_023), None),
    row(V::Weight,         "weight",          "weight",             U::Kilogram,          &[U::Pound, U::Gram],             Some("29463-7"), Some(188_736), Some("NPU03804")),
    row(V::Fev1,           "fev1",            "FEV1",               U::Litre,             &[U::Millilitre],                 Some("20150-9"), Some(152_586), Some("MCS88015")),
    row(V::Fvc,            "fvc",             "FVC",                U::Litre,             &[U::Millilitre],                 None,            Some(188_928), Some("MCS88016")),
    row(V::Fev6,           "fev6",            "FEV6",               U::Litre,             &[U::Millilitre],                 None,            Some(152_587), Some("MCS88100")),
    row(V::Pef,            "pef",             "PEF",                U::LitrePerMinute,    &[U::LitrePerSecond],             None,            Some(152_584), Some("MCS88102")),
    row(V::Fev1Fvc,        "fev1_fvc",        "FEV1/FVC",           U::Percent,           &[U::Ratio],                      Some("19926-5"), Some(188_948), Some("MCS88017")),
    row(V::PerfusionIndex, "perfusion_index", "perfusion index",    U::Percent,           &[],                              None,            None,          None),
    row(V::OxygenFlow,     "oxygen_flow",     "oxygen flow",        U::LitrePerMinute,    &[],                              Some("3151-8"),  None,          None),
    row(V::Glucose,        "glucose",         "glucose",            U::MillimolePerLitre, &[U::MilligramPerDecilitre],      None,            None,          None),
];

#[allow(clippy::too_many_arguments, reason = "one row of the table above")]
const fn row(
    vital: Vital,
    name: &'static str,
    label: &'static str,
    unit: Unit,
    accepts: &'static [Unit],
    loinc: Option<&'static str>,
    mdc: Option<u32>,
    npu: Option<&'static str>,
) -> VitalInfo {
    VitalInfo { vital, name, label, unit, accepts, loinc, mdc, npu }
}

impl Vital {
    /// The table's row of this vital.
    #[must_use]
    pub fn info(self) -> &'static VitalInfo {
        &VITALS[self as usize]
    }

    /// The wire name, e.g. `spo2`.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.info().name
    }

    /// The unit in which it is stored and judged.
    #[must_use]
    pub fn unit(self) -> Unit {
        self.info().unit
    }
}

impl fmt::Display for Vital {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Vital {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        VITALS
            .iter()
            .find(|info| info.name == name)
            .map(|info| info.vital)
            .ok_or_else(|| format!("unknown vital {name:?}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_the_order_of_the_enum_and_named_as_on_the_wire() {
        for (index, info) in VITALS.iter().enumerate() {
            assert_eq!(info.vital as usize, index);
            assert_eq!(serde_json::to_string(&info.vital).unwrap(), format!("{:?}", info.name));
            assert_eq!(info.name.parse::<Vital>().unwrap(), info.vital);
        }
    }
}
