//! The roster, ready for use: who a kit is, whose it is, and by which plan that patient is judged. Read-only; replaced as a whole.

use std::{
    collections::{BTreeSet, HashMap},
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use jiff::{Timestamp, tz::TimeZone};
use sha2::{Digest, Sha256};
use store::{Kit, Patient, Roster};
use tokio::sync::watch;
use triage::{Clinic, Own, Plan, Programme, ProgrammeError, Rulebook};
use vitals::{KitId, PatientId};

use crate::{
    basis::{Basis, ReadingPlace, VersionOf},
    programmes::{Document, Library, read, texts},
    watching::heartbeat,
};

/// The directory as it is now, and as it will be: shared by the front door and the pipeline.
#[derive(Clone)]
pub struct Directories(watch::Receiver<Arc<Directory>>);

/// What a roster says, checked.
#[derive(Default)]
pub struct Directory {
    kits: hashbrown::HashMap<String, KnownKit>,
    plans: HashMap<PatientId, Arc<Plan>>,
    bases: HashMap<PatientId, Arc<Basis>>,
    invalid: Invalid,
    /// Every stored version of the programmes, where there is a store behind it.
    library: Option<Library>,
    /// Who is not judged by what was decided, and kits that can't be used.
    unfit: Vec<RosterError>,
    roster: Roster,
}

/// How somebody is judged, and how that is stored.
pub type Judged = (Arc<Plan>, Arc<Basis>);

/// Readings that were invalidated.
#[derive(Clone, Debug, Default)]
pub struct Invalid {
    /// Of each patient.
    pub places: HashMap<PatientId, BTreeSet<ReadingPlace>>,
    /// Who invalidated or restored one of a patient's last, and why.
    pub last: HashMap<PatientId, (String, String)>,
}

/// A kit that may bring messages.
#[derive(Clone, Debug)]
pub struct KnownKit {
    /// Whose it is; absent where several people share it.
    pub patient: Option<PatientId>,
    /// Those who share it.
    pub patients: Vec<PatientId>,
    /// Handed out at.
    pub since: Timestamp,
    /// Absent until it has enrolled.
    secret: Option<[u8; 32]>,
    revoked: bool,
}

/// Programmes by id.
pub type Programmes = HashMap<String, Arc<Programme>>;

/// What is judged by: programmes in use, with the clinic's defaults. The rules of programmes that some patients are in together are made once.
pub struct Books {
    programmes: Programmes,
    /// Where those are that are not at hand.
    library: Option<Library>,
    clinic: Arc<Clinic>,
    /// Bounded by the sets of programmes that the roster's patients are in.
    books: Mutex<HashMap<Vec<String>, Arc<Rulebook>>>,
}

/// A roster that can't be used.
#[derive(Debug, thiserror::Error)]
pub enum RosterError {
    /// A patient can't be judged.
    #[error("patient {patient}: {what}")]
    Patient {
        /// Who.
        patient: PatientId,
        /// What was found, what was wanted.
        what: String,
        /// The same one by one, each with its field, where own settings don't fit.
        faults: Vec<triage::Problem>,
    },
    /// A kit can't be used.
    #[error("kit {kit}: {what}")]
    Kit {
        /// Which.
        kit: KitId,
        /// What was found, what was wanted.
        what: String,
    },
}

impl Directories {
    /// Follows what `sender` publishes.
    #[must_use]
    pub fn new(receiver: watch::Receiver<Arc<Directory>>) -> Self {
        Self(receiver)
    }

    /// A directory that never changes.
    #[must_use]
    pub fn fixed(directory: Directory) -> Self {
        Self(watch::channel(Arc::new(directory)).1)
    }

    /// The directory as it is now.
    #[must_use]
    pub fn now(&self) -> Arc<Directory> {
        Arc::clone(&self.0.borrow())
    }

    /// Waits for the next; for ever, if there can be none.
    pub async fn changed(&mut self) -> Arc<Directory> {
        if self.0.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
        Arc::clone(&self.0.borrow_and_update())
    }
}

impl Default for Books {
    fn default() -> Self {
        Self::new(Programmes::new(), Arc::new(Clinic::shipped()))
    }
}

impl Books {
    /// These programmes, with these defaults.
    #[must_use]
    pub fn new(programmes: Programmes, clinic: Arc<Clinic>) -> Self {
        Self { programmes, library: None, clinic, books: Mutex::default() }
    }

    /// What a library has in use, with these defaults.
    #[must_use]
    pub fn of_library(library: Library, clinic: Arc<Clinic>) -> Self {
        Self { programmes: Programmes::new(), library: Some(library), clinic, books: Mutex::default() }
    }

    /// The programmes that were given, not those of a library.
    #[must_use]
    pub fn programmes(&self) -> &Programmes {
        &self.programmes
    }

    /// Where those are that are not at hand.
    #[must_use]
    pub fn library(&self) -> Option<&Library> {
        self.library.as_ref()
    }

    /// The clinic's defaults.
    #[must_use]
    pub fn clinic(&self) -> &Arc<Clinic> {
        &self.clinic
    }

    /// The programmes, in no order.
    pub fn into_values(self) -> impl Iterator<Item = Arc<Programme>> {
        self.programmes.into_values()
    }

    /// The rules of these programmes together. `Err` says which there is none of.
    fn of(&self, ids: &[String]) -> Result<Arc<Rulebook>, String> {
        let mut books = self.books.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(book) = books.get(ids) {
            return Ok(Arc::clone(book));
        }
        let programmes: Result<Vec<_>, String> = ids.iter().map(|id| self.named(id)).collect();
        let book = Rulebook::new(programmes?, Arc::clone(&self.clinic)).map_err(|e: ProgrammeError| e.to_string())?;
        books.insert(ids.to_vec(), Arc::clone(&book));
        Ok(book)
    }

    fn named(&self, id: &str) -> Result<Arc<Programme>, String> {
        if let Some(library) = &self.library {
            return library.named(id);
        }
        self.programmes.get(id).cloned().ok_or_else(|| {
            let mut known: Vec<_> = self.programmes.keys().map(String::as_str).collect();
            known.sort_unstable();
            format!("found programme {id:?}, want one of {}", known.join(", "))
        })
    }
}

/// Whose name is taken by the service itself.
const RESERVED: &str = "is the name of the service's own test readings: want another";

impl KnownKit {
    /// The heartbeat's, which is in no roster.
    fn synthetic() -> Self {
        let secret = Some(Sha256::digest(heartbeat::secret()).into());
        let (patient, patients) = (Some(heartbeat::patient()), Vec::new());
        Self { patient, patients, since: Timestamp::UNIX_EPOCH, secret, revoked: false }
    }

    /// Whose a message is that says `patient` of itself. `Err` says why nobody's.
    ///
    /// # Errors
    /// A sentence: the message is for somebody who does not measure with this kit, or it does not say whose it is and several share the kit.
    pub fn whose<'a>(&'a self, kit: &KitId, said: Option<&'a PatientId>) -> Result<&'a PatientId, String> {
        match (&self.patient, said) {
            (Some(own), None) => Ok(own),
            (Some(own), Some(said)) if own == said => Ok(own),
            (Some(own), Some(said)) => Err(format!("message is for patient {said}, and kit {kit} is given to {own}")),
            (None, Some(said)) if self.patients.contains(said) => Ok(said),
            (None, Some(said)) => {
                Err(format!("message is for patient {said}, who is not among those who share kit {kit}"))
            }
            (None, None) => {
                Err(format!("kit {kit} is shared by several people: want `patient` in the message, found none"))
            }
        }
    }
}

impl Directory {
    /// Checks a roster against the programmes in use.
    ///
    /// # Errors
    /// [`RosterError`], the first that was found.
    pub fn new(roster: Roster, books: &Books, zone: &TimeZone) -> Result<Self, RosterError> {
        Self::leaving_out(roster, books, zone, Invalid::default())
    }

    /// The same; some readings are not judged by.
    ///
    /// # Errors
    /// [`RosterError`], the first that was found.
    pub fn leaving_out(roster: Roster, books: &Books, zone: &TimeZone, invalid: Invalid) -> Result<Self, RosterError> {
        let mut directory = Self::keeping(roster, books, zone, invalid, |_| None);
        if directory.unfit.is_empty() { Ok(directory) } else { Err(directory.unfit.swap_remove(0)) }
    }

    /// The same of a service that has to go on: who can't be judged by this stays judged by what `earlier` gives; by the programmes without own
    /// settings, where it gives nothing; and by nothing, where that can't be either. All are told by [`Directory::unfit`], and hold up nobody else.
    pub fn keeping(
        roster: Roster,
        books: &Books,
        zone: &TimeZone,
        invalid: Invalid,
        earlier: impl Fn(&Patient) -> Option<Judged>,
    ) -> Self {
        let mut directory = Self::default();
        for patient in &roster.patients {
            let without = invalid.places.get(&patient.id).cloned().unwrap_or_default();
            let judged = judged(patient, books, zone, &without).or_else(|error| {
                directory.unfit.push(error);
                let kept = earlier(patient)
                    .map(|(plan, basis)| (plan, Arc::new(Basis { without: without.clone(), ..(*basis).clone() })));
                let bare =
                    || judged(&Patient { own: serde_json::Value::Null, ..patient.clone() }, books, zone, &without).ok();
                kept.or_else(bare).ok_or(())
            });
            if let Ok((plan, basis)) = judged {
                directory.bases.insert(patient.id.clone(), basis);
                directory.plans.insert(patient.id.clone(), plan);
            }
        }
        for kit in &roster.kits {
            match known(kit, &directory.plans) {
                Ok(known) => _ = directory.kits.insert(kit.id.as_str().to_owned(), known),
                Err(error) => directory.unfit.push(error),
            }
        }
        directory.kits.insert(heartbeat::NAME.to_owned(), KnownKit::synthetic());
        (directory.roster, directory.invalid) = (roster, invalid);
        directory
    }

    /// Who is not judged by what was decided, and why; and kits that can't be used.
    #[must_use]
    pub fn unfit(&self) -> &[RosterError] {
        &self.unfit
    }

    /// The same of people, by their ids.
    #[must_use]
    pub fn not_as_decided(&self) -> HashMap<PatientId, String> {
        let of_patient = |unfit: &RosterError| match unfit {
            RosterError::Patient { patient, what, .. } => Some((patient.clone(), what.clone())),
            RosterError::Kit { .. } => None,
        };
        self.unfit.iter().filter_map(of_patient).collect()
    }

    /// The kit and its patient, if the roster knows it.
    #[must_use]
    pub fn kit(&self, id: &KitId) -> Option<&KnownKit> {
        self.kits.get(id.as_str())
    }

    /// Is this the id of a kit?
    #[must_use]
    pub fn is_kit(&self, id: &str) -> bool {
        self.kits.contains_key(id)
    }

    /// Is it a kit, and not revoked?
    #[must_use]
    pub fn may_connect(&self, id: &str) -> bool {
        self.kits.get(id).is_some_and(|kit| !kit.revoked)
    }

    /// Does this kit sign in with the secret of this SHA-256 (in hex)?
    #[must_use]
    pub fn has_secret(&self, id: &KitId, secret_sha256: &str) -> bool {
        self.kit(id).is_some_and(|kit| kit.secret.is_some() && kit.secret == unhex(secret_sha256) && !kit.revoked)
    }

    /// How a patient is judged.
    #[must_use]
    pub fn plan(&self, patient: &PatientId) -> Option<&Arc<Plan>> {
        self.plans.get(patient)
    }

    /// The same, with every stored version at hand.
    #[must_use]
    pub fn with_library(mut self, library: Library) -> Self {
        self.library = Some(library);
        self
    }

    /// Every stored version of the programmes.
    #[must_use]
    pub fn library(&self) -> Option<&Library> {
        self.library.as_ref()
    }

    /// How a patient is to be judged, in a form that is stored.
    #[must_use]
    pub fn basis(&self, patient: &PatientId) -> Option<&Arc<Basis>> {
        self.bases.get(patient)
    }

    /// Who changed last which of a patient's readings count, and why.
    #[must_use]
    pub fn readings_changed(&self, patient: &PatientId) -> Option<&(String, String)> {
        self.invalid.last.get(patient)
    }

    /// The plan that a patient was judged by earlier. None where this program can't make it any more.
    #[must_use]
    pub fn plan_by(&self, patient: &PatientId, basis: &Basis) -> Option<Arc<Plan>> {
        if self.basis(patient).is_some_and(|now| now.changes_plan_of(basis).is_none()) {
            return self.plan(patient).cloned();
        }
        self.library.as_ref()?.plan_by(patient, basis).ok().map(Arc::new)
    }

    /// Every patient's plan.
    #[must_use]
    pub fn plans(&self) -> &HashMap<PatientId, Arc<Plan>> {
        &self.plans
    }

    /// What it was made of.
    #[must_use]
    pub fn roster(&self) -> &Roster {
        &self.roster
    }

    /// Checks a kit's password, in constant time. `Err` says why not, for the log.
    ///
    /// # Errors
    /// The kit is unknown, revoked, or the password is not its own.
    pub fn check_secret(&self, kit: &KitId, password: &[u8]) -> Result<(), String> {
        let known = self.kit(kit).ok_or_else(|| format!("{kit} is not in the roster"))?;
        if known.revoked {
            return Err(format!("{kit} is revoked"));
        }
        let Some(secret) = known.secret else { return Err(format!("{kit} has not enrolled yet")) };
        let given: [u8; 32] = Sha256::digest(password).into();
        let differing = given.iter().zip(secret).fold(0, |sum, (a, b)| sum | (a ^ b));
        if std::hint::black_box(differing) == 0 { Ok(()) } else { Err(format!("{kit} came with a wrong password")) }
    }
}

/// The programmes of a folder, or those that come with Vagt: each file as it is, whatever is stored.
///
/// # Errors
/// The folder can't be read, a programme is wrong, or two have the same id.
pub fn programmes(folder: Option<&Path>) -> anyhow::Result<Books> {
    programmes_read(folder, read)
}

/// The same; how a text of a file of this name is read, is given.
///
/// # Errors
/// As [`programmes`].
pub fn programmes_read(
    folder: Option<&Path>,
    read: impl Fn(&str, &str) -> Result<Document, String>,
) -> anyhow::Result<Books> {
    let mut books = Books::default();
    for (file, text) in texts(folder)? {
        let programme = match read(&text, &file).map_err(anyhow::Error::msg)? {
            Document::Clinic(clinic) => {
                books.clinic = Arc::new(clinic);
                continue;
            }
            Document::Programme(programme) => programme,
        };
        let id = programme.id().to_owned();
        if books.programmes.insert(id.clone(), Arc::new(programme)).is_some() {
            anyhow::bail!("{file}: programme {id:?} is in another file of the folder too");
        }
    }
    Ok(books)
}

/// The COPD programme alone, for tests.
#[cfg(test)]
pub(crate) fn copd() -> Books {
    let programme = Arc::new(Programme::parse(triage::COPD, "copd.toml").unwrap());
    Books::new(Programmes::from([(programme.id().to_owned(), programme)]), Arc::new(Clinic::shipped()))
}

fn judged(
    patient: &Patient,
    books: &Books,
    zone: &TimeZone,
    without: &BTreeSet<ReadingPlace>,
) -> Result<Judged, RosterError> {
    if patient.id.as_str() == heartbeat::NAME {
        return Err(RosterError::Patient {
            patient: patient.id.clone(),
            what: RESERVED.to_owned(),
            faults: Vec::new(),
        });
    }
    let plan = plan_of(patient, books, zone)?;
    let basis = basis_of(patient, &plan, without.clone());
    Ok((Arc::new(plan), Arc::new(basis)))
}

/// A patient's plan: the programmes with the patient's own settings over them.
///
/// # Errors
/// A programme is unknown, or the own settings don't fit them.
pub fn plan_of(patient: &Patient, books: &Books, zone: &TimeZone) -> Result<Plan, RosterError> {
    let wrong = |what: String| RosterError::Patient { patient: patient.id.clone(), what, faults: Vec::new() };
    let unfit = |error: ProgrammeError| {
        let faults = error.problems().to_vec();
        let each: Vec<String> = faults.iter().map(|fault| format!("{}: {}", fault.field, fault.text)).collect();
        RosterError::Patient { patient: patient.id.clone(), what: format!("own settings: {}", each.join("; ")), faults }
    };
    let book = books.of(&patient.programmes).map_err(wrong)?;
    let own = own_of(patient).map_err(wrong)?;
    let since = patient.since.unwrap_or(Timestamp::UNIX_EPOCH);
    let plan = Plan::with(patient.id.clone(), book, own, zone.clone(), since).map_err(unfit)?;
    Ok(plan.in_stratum(patient.stratum.as_deref()))
}

/// A patient's own settings. `Err` says what is wrong with their form.
///
/// # Errors
/// A sentence.
pub fn own_of(patient: &Patient) -> Result<Own, String> {
    match &patient.own {
        serde_json::Value::Null => Ok(Own::default()),
        own => serde_json::from_value(own.clone()).map_err(|error| format!("own settings: {error}")),
    }
}

/// What this plan judges by, in a form that is stored.
#[must_use]
pub fn basis_of(patient: &Patient, plan: &Plan, without: BTreeSet<ReadingPlace>) -> Basis {
    let of = |programme: &Programme| VersionOf { id: programme.id().to_owned(), version: programme.version() };
    Basis {
        programmes: plan.programmes().iter().map(|programme| of(programme)).collect(),
        clinic: plan.book().clinic().version(),
        judging: plan.judging(),
        own: patient.own.clone(),
        stratum: patient.stratum.clone(),
        since: plan.since(),
        zone: plan.zone().iana_name().unwrap_or("UTC").to_owned(),
        without,
    }
}

fn known(kit: &Kit, plans: &HashMap<PatientId, Arc<Plan>>) -> Result<KnownKit, RosterError> {
    let wrong = |what: String| RosterError::Kit { kit: kit.id.clone(), what };
    if heartbeat::is(&kit.id) {
        return Err(wrong(RESERVED.to_owned()));
    }
    if let Some(patient) = kit.people().find(|patient| !plans.contains_key(*patient)) {
        return Err(wrong(format!("is given to patient {patient}, who is not in the roster")));
    }
    if kit.patient.is_some() != kit.patients.is_empty() {
        return Err(wrong("want `patient`, or `patients` on a kit that several people share".to_owned()));
    }
    let secret = match kit.secret_sha256.as_str() {
        "" => None,
        hash => Some(
            unhex(hash)
                .ok_or_else(|| wrong("secret_sha256: want the SHA-256 of its password as 64 hex digits".to_owned()))?,
        ),
    };
    let (patient, patients) = (kit.patient.clone(), kit.patients.clone());
    let since = kit.since.unwrap_or(Timestamp::UNIX_EPOCH);
    Ok(KnownKit { patient, patients, since, secret, revoked: kit.revoked })
}

/// Bytes as lower-case hex.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        text.extend([byte >> 4, byte & 15].map(|digit| char::from(b"0123456789abcdef"[usize::from(digit)])));
        text
    })
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (byte, at) in bytes.iter_mut().zip((0..64).step_by(2)) {
        *byte = u8::from_str_radix(&text[at..at + 2], 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roster(programme: &str, secret: &str) -> Roster {
        toml::from_str(&format!(
            "[[patient]]\nid = \"p-1\"\nname = \"Test Person\"\nprogramme = {programme:?}\n\
             [[kit]]\nid = \"kit-1\"\npatient = \"p-1\"\nsecret_sha256 = {secret:?}\n"
        ))
        .unwrap()
    }

    fn directory(roster: Roster) -> Result<Directory, RosterError> {
        Directory::new(roster, &copd(), &TimeZone::UTC)
    }

    #[test]
    fn a_kit_is_known_by_its_secret() {
        let mut roster = roster("copd", &hex(&Sha256::digest(b"right")));
        let known = directory(roster.clone()).unwrap();
        let kit: KitId = "kit-1".parse().unwrap();
        assert_eq!(known.check_secret(&kit, b"right"), Ok(()));
        assert_eq!(known.check_secret(&kit, b"wrong").unwrap_err(), "kit-1 came with a wrong password");
        assert_eq!(known.check_secret(&"kit-2".parse().unwrap(), b"").unwrap_err(), "kit-2 is not in the roster");
        roster.kits[0].revoked = true;
        assert_eq!(directory(roster).unwrap().check_secret(&kit, b"right").unwrap_err(), "kit-1 is revoked");
    }

    #[test]
    fn a_message_of_a_shared_kit_says_whose_it_is() {
        let mut roster = roster("copd", "");
        let own = directory(roster.clone()).unwrap();
        let [kit, station]: [KitId; 2] = ["kit-1", "kit-1"].map(|id| id.parse().unwrap());
        let [ane, bo]: [PatientId; 2] = ["p-1", "p-2"].map(|id| id.parse().unwrap());
        let known = own.kit(&kit).unwrap();
        assert_eq!((known.whose(&kit, None), known.whose(&kit, Some(&ane))), (Ok(&ane), Ok(&ane)));
        assert_eq!(
            known.whose(&kit, Some(&bo)).unwrap_err(),
            "message is for patient p-2, and kit kit-1 is given to p-1"
        );
        assert_eq!(own.check_secret(&kit, b"").unwrap_err(), "kit-1 has not enrolled yet");
        (roster.kits[0].patient, roster.kits[0].patients) = (None, vec![ane.clone()]);
        let shared = directory(roster.clone()).unwrap();
        let known = shared.kit(&station).unwrap();
        assert_eq!(known.whose(&station, Some(&ane)), Ok(&ane));
        assert!(
            known.whose(&station, Some(&bo)).unwrap_err().contains("p-2, who is not among those who share kit kit-1")
        );
        assert!(known.whose(&station, None).unwrap_err().ends_with("want `patient` in the message, found none"));
        roster.kits[0].patients.clear();
        let error = directory(roster).err().unwrap().to_string();
        assert_eq!(error, "kit kit-1: want `patient`, or `patients` on a kit that several people share");
    }

    #[test]
    fn a_roster_that_cannot_be_used_says_why() {
        let secret = hex(&[0xa5; 32]);
        let error = |roster| directory(roster).err().expect("refused").to_string();
        assert_eq!(error(roster("copdd", &secret)), "patient p-1: found programme \"copdd\", want one of copd");
        assert_eq!(
            error(roster("copd", "a5")),
            "kit kit-1: secret_sha256: want the SHA-256 of its password as 64 hex digits"
        );
        let mut lonely = roster("copd", &secret);
        lonely.kits[0].patient = Some("p-9".parse().unwrap());
        assert_eq!(error(lonely), "kit kit-1: is given to patient p-9, who is not in the roster");
    }
}
