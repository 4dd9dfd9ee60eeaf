//! Who may decide what about programmes, over a real store.

use jiff::SignedDuration;
use store::{Account, Journal, Roster, Sqlite};
use tempfile::TempDir;

use super::*;

struct Office {
    _folder: TempDir,
    store: Sqlite,
    now: Timestamp,
}

/// The COPD programme with another number, and something else in it.
fn copd(version: u32, from: &str, to: &str) -> String {
    let text = triage::COPD;
    let number = text.lines().find(|line| line.starts_with("version = ")).unwrap();
    let other = text.replacen(number, &format!("version = {version}"), 1).replacen(from, to, 1);
    assert_ne!(other, text);
    other
}

fn shipped() -> u32 {
    Programme::parse(triage::COPD, "copd.toml").unwrap().version()
}

impl Office {
    /// With one programme in use, two operators, a nurse, and a patient with an own limit.
    async fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Sqlite::open(&folder.path().join("vagt.db")).await.unwrap();
        std::fs::write(folder.path().join("copd.toml"), triage::COPD).unwrap();
        let now: Timestamp = "2026-11-22T08:00:00Z".parse().unwrap();
        bring_in(&store, Some(folder.path()), now).await.unwrap();
        for (user, role) in [("ane", "operator"), ("bo", "admin"), ("mette", "nurse")] {
            let (user, name, language) = (user.to_owned(), user.to_owned(), "da".to_owned());
            let account = Account { user, name, password_hash: String::new(), role: role.to_owned(), language };
            store.put_account(&account).await.unwrap();
        }
        let roster: Roster = toml::from_str(
            "[[patient]]\nid = \"p-1\"\nname = \"Test\"\nprogramme = \"copd\"\n[[patient.own.limits]]\nrule = \"spo2\"\n\
             limit = \"red_low\"\nvalue = 84\nunit = \"%\"\nauthor = \"Dr Test\"\nreason = \"his normal state\"\n\
             from = \"2026-11-01T00:00:00Z\"\n",
        )
        .unwrap();
        store.put_roster(&roster, now).await.unwrap();
        Self { _folder: folder, store, now }
    }

    fn by<'a>(&self, by: &'a str) -> Decider<'a> {
        Decider { by, reason: "fewer false yellows", now: self.now }
    }

    async fn propose(&mut self, text: &str, by: &str) -> Result<u32, String> {
        self.now += SignedDuration::from_secs(1);
        let kept = propose(&self.store, text, "new.toml", self.by(by)).await;
        kept.map(|proposed| proposed.kept.version).map_err(|error| error.to_string())
    }

    async fn activate(&mut self, version: u32, from: Option<Timestamp>, by: &str) -> Result<(), String> {
        self.now += SignedDuration::from_secs(1);
        let done = activate(&self.store, &TimeZone::UTC, ("copd", version), from, self.by(by)).await;
        done.map(|_| ()).map_err(|error| error.to_string())
    }

    async fn in_use(&self, at: Timestamp) -> Option<u32> {
        Library::open(&self.store, at).await.unwrap().in_use().get("copd").copied()
    }
}

#[tokio::test]
async fn proposed_by_one_and_activated_by_another_at_a_time_and_back_with_one_command() {
    let mut office = Office::open().await;
    let (first, second) = (shipped(), shipped() + 1);
    assert_eq!(office.in_use(office.now).await, Some(first), "the first of a programme is used at once");
    assert_eq!(office.propose(&copd(second, "[clinic]", "[clinic] # tried"), "ane").await, Ok(second));
    assert_eq!(office.in_use(office.now).await, Some(first), "a proposal is only a proposal");
    let refused = office.activate(second, None, "ane").await.unwrap_err();
    assert_eq!(refused, format!("ane proposed copd version {second}: want another person to activate it"));
    let refused = office.activate(second, None, "mette").await.unwrap_err();
    assert_eq!(refused, "mette is a nurse: want an operator or an admin");
    let refused = office.activate(9, None, "bo").await.unwrap_err();
    assert_eq!(refused, format!("found no version 9 of programme \"copd\", want one of {first}, {second}"));
    let friday = office.now + SignedDuration::from_hours(72);
    office.activate(second, Some(friday), "bo").await.unwrap();
    assert_eq!((office.in_use(office.now).await, office.in_use(friday).await), (Some(first), Some(second)));
    office.now = friday;
    let back = rollback(&office.store, &TimeZone::UTC, "copd", office.by("ane")).await.unwrap();
    assert!(back.rollback);
    assert_eq!(office.in_use(office.now + SignedDuration::from_secs(1)).await, Some(first));
    let said: Vec<_> =
        history(&office.store, "copd").await.unwrap().iter().map(|entry| entry.what.name().to_owned()).collect();
    let activated = "programme_activated";
    assert_eq!(said, ["programme_proposed", activated, "programme_proposed", activated, activated]);
}

#[tokio::test]
async fn a_time_that_is_past_is_refused_unless_it_is_a_matter_of_clocks() {
    let mut office = Office::open().await;
    let next = shipped() + 1;
    office.propose(&copd(next, "[clinic]", "[clinic] # tried"), "ane").await.unwrap();
    let mistyped = "2026-01-01T00:00:00Z".parse().unwrap();
    let refused = office.activate(next, Some(mistyped), "bo").await.unwrap_err();
    assert!(refused.contains("found 2026-01-01T00:00:00Z as the time to begin, which is past"), "{refused}");
    assert_eq!(office.in_use(office.now).await, Some(shipped()));
    let just_now = office.now - SignedDuration::from_mins(3);
    office.activate(next, Some(just_now), "bo").await.unwrap();
    assert_eq!(office.in_use(office.now + SignedDuration::from_secs(1)).await, Some(next));
}

#[tokio::test]
async fn going_back_twice_does_not_bring_back_what_somebody_went_back_from() {
    let mut office = Office::open().await;
    let next = shipped() + 1;
    office.propose(&copd(next, "[clinic]", "[clinic] # tried"), "ane").await.unwrap();
    office.activate(next, None, "bo").await.unwrap();
    office.now += SignedDuration::from_secs(1);
    rollback(&office.store, &TimeZone::UTC, "copd", office.by("ane")).await.unwrap();
    office.now += SignedDuration::from_secs(1);
    let refused = rollback(&office.store, &TimeZone::UTC, "copd", office.by("ane")).await.unwrap_err().to_string();
    assert!(
        refused.contains(&format!("somebody went back from {next}, which wants to be activated anew")),
        "{refused}"
    );
    assert_eq!(office.in_use(office.now).await, Some(shipped()));
    assert!(office.activate(next, None, "ane").await.is_err(), "it takes two, as at first");
    office.activate(next, None, "bo").await.unwrap();
    assert_eq!(office.in_use(office.now + SignedDuration::from_secs(1)).await, Some(next));
}

#[tokio::test]
async fn what_is_in_use_or_was_turned_down_runs_as_no_shadow() {
    let mut office = Office::open().await;
    let next = shipped() + 1;
    office.propose(&copd(next, "[clinic]", "[clinic] # tried"), "ane").await.unwrap();
    reject(&office.store, ("copd", next), office.by("bo")).await.unwrap();
    let now = office.now + SignedDuration::from_secs(1);
    for (version, wanted) in [(shipped(), "is in use"), (next, "was turned down")] {
        let refused = crate::tuning::shadow::start(&office.store, ("copd", version), "ane", now).await.unwrap_err();
        assert!(refused.to_string().contains(wanted), "{refused}");
    }
}

#[tokio::test]
async fn what_is_faulty_unsafe_or_does_not_fit_somebody_is_refused_and_nothing_has_changed() {
    let mut office = Office::open().await;
    let next = shipped() + 1;
    let faulty = office.propose(&copd(next, "[clinic]", "[clinix]"), "ane").await.unwrap_err();
    assert!(faulty.starts_with("new.toml:") && faulty.contains("clinix"), "{faulty}");
    let again = office.propose(triage::COPD, "ane").await.unwrap_err();
    assert!(again.contains("the newest there is"), "{again}");
    let text = copd(next, "id = \"spo2\"", "id = \"oxygen\"").replace("rule = \"spo2\"", "rule = \"oxygen\"");
    let text = text.replace("spo2 = \"", "oxygen = \"");
    match office.propose(&text, "ane").await {
        Ok(version) => {
            let refused = office.activate(version, None, "bo").await.unwrap_err();
            assert!(refused.starts_with("1 patient can't be judged by it: p-1: "), "{refused}");
        }
        Err(faults) => panic!("the renamed rule must be read: {faults}"),
    }
    assert_eq!(office.in_use(office.now).await, Some(shipped()));
    let words = Decider { reason: "  ", ..office.by("ane") };
    let refused = reject(&office.store, ("copd", next), words).await.unwrap_err().to_string();
    assert_eq!(refused, "found no reason, want one in a few words");
    reject(&office.store, ("copd", next), office.by("bo")).await.unwrap();
    let refused = office.activate(next, None, "bo").await.unwrap_err();
    assert!(refused.contains("was turned down"), "{refused}");
}

#[tokio::test]
async fn a_programme_beyond_a_floor_is_kept_and_not_activated() {
    let mut office = Office::open().await;
    let floor =
        triage::CLINIC.replacen("value = 83\n", "value = 99\n", 1).replacen("version = 1\n", "version = 2\n", 1);
    assert_ne!(floor, triage::CLINIC);
    assert_eq!(office.propose(&floor, "ane").await, Ok(2));
    let refused = activate(&office.store, &TimeZone::UTC, ("clinic", 2), None, office.by("bo")).await.unwrap_err();
    let refused = refused.to_string();
    assert!(refused.contains("copd version") && refused.contains("passes the safety floor of 99 %"), "{refused}");

    // A programme's own version is refused when it is proposed, with its place, and not kept; so is a file that would only wait.
    let beyond = copd(7, "at_most = 85 },\n", "at_most = 82 },\n").replacen("above = 85,", "above = 82,", 1);
    let beyond = beyond.split("[[example]]").next().unwrap();
    let refused = office.propose(beyond, "ane").await.unwrap_err();
    let wanted = "rule[0].bands: found red at 82 % or less, which passes the safety floor of 83 % or less (NEWS2, SpO2 scale 2: three points \
                  at 83 % or less): want spo2 always red at 83 % or less";
    assert!(refused.contains(wanted), "{refused}");
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("copd.toml"), beyond).unwrap();
    bring_in(&office.store, Some(folder.path()), office.now).await.unwrap();
    assert_eq!(Library::open(&office.store, office.now).await.unwrap().numbers("copd"), [shipped()]);
}

#[tokio::test]
async fn a_limit_of_the_clinics_comes_into_use_in_order_alone_and_a_replay_judges_by_the_document_of_the_time() {
    let mut office = Office::open().await;
    let with = |version: u32, value: u32| {
        let limit = "\n[[limit]]\nvital = \"spo2\"\nunit = \"%\"\nlimit = \"yellow_high\"\nsource = \"agreed\"\n";
        let text = triage::CLINIC.replacen("version = 1\n", &format!("version = {version}\n"), 1);
        format!("{text}{limit}value = {value}\n")
    };
    assert_eq!(office.propose(&with(2, 87), "ane").await, Ok(2));
    let refused = activate(&office.store, &TimeZone::UTC, (CLINIC_ID, 2), None, office.by("bo")).await.unwrap_err();
    let (refused, wanted) = (refused.to_string(), "yellow_high at 87 % is the clinic's (agreed)");
    assert!(refused.contains("copd version") && refused.contains(wanted), "{refused}");
    assert_eq!(office.propose(&with(3, 99), "ane").await, Ok(3));
    activate(&office.store, &TimeZone::UTC, (CLINIC_ID, 3), None, office.by("bo")).await.unwrap();

    // A programme that comes later is held against it.
    let later = copd(7, "[clinic]", "[clinic] # later").replace("at_most = 88 }", "at_most = 99 }");
    let later = later.replace("above = 88 }", "above = 99 }");
    let refused = office.propose(later.split("[[example]]").next().unwrap(), "ane").await.unwrap_err();
    assert!(refused.contains("found yellow_low at 99 % and yellow_high at 99 %"), "{refused}");

    let library = Library::open(&office.store, office.now).await.unwrap();
    let patient = office.store.roster().await.unwrap().patients.remove(0);
    let plan = plan_of(&patient, &library.books().unwrap(), &TimeZone::UTC).unwrap();
    let basis = crate::directory::basis_of(&patient, &plan, std::collections::BTreeSet::new());
    let limits = |clinic: u32| {
        let then = library.plan_by(&patient.id, &Basis { clinic, ..basis.clone() }).unwrap();
        then.clinic_limits(office.now).len()
    };
    assert_eq!((basis.clinic, limits(3), limits(1)), (3, 1, 0));
}

#[tokio::test]
async fn a_file_never_edits_what_is_stored() {
    let office = Office::open().await;
    let folder = tempfile::tempdir().unwrap();
    let edited = triage::COPD.replacen("[clinic]", "[clinic] # edited", 1);
    std::fs::write(folder.path().join("copd.toml"), edited).unwrap();
    bring_in(&office.store, Some(folder.path()), office.now).await.unwrap();
    let kept = office.store.programme_versions(Some("copd")).await.unwrap();
    assert_eq!((kept.len(), kept[0].text.as_str(), kept[0].proposed_by.as_str()), (1, triage::COPD, FILE));
    std::fs::write(folder.path().join("copd.toml"), copd(7, "[clinic]", "[clinic] # edited")).unwrap();
    bring_in(&office.store, Some(folder.path()), office.now).await.unwrap();
    assert_eq!(office.in_use(office.now).await, Some(shipped()), "it waits for somebody");
    assert_eq!(Library::open(&office.store, office.now).await.unwrap().numbers("copd"), [shipped(), 7]);
}

#[tokio::test]
async fn of_several_files_of_a_programme_the_lowest_number_is_the_first_and_the_others_wait() {
    let folder = tempfile::tempdir().unwrap();
    let store = Sqlite::open(&folder.path().join("vagt.db")).await.unwrap();
    let now: Timestamp = "2026-11-22T08:00:00Z".parse().unwrap();
    std::fs::write(folder.path().join("copd-10.toml"), copd(10, "[clinic]", "[clinic] # ten")).unwrap();
    std::fs::write(folder.path().join("copd-9.toml"), copd(9, "[clinic]", "[clinic] # nine")).unwrap();
    bring_in(&store, Some(folder.path()), now).await.unwrap();
    let library = Library::open(&store, now).await.unwrap();
    assert_eq!((library.in_use().get("copd"), library.numbers("copd")), (Some(&9), vec![9, 10]));
}

#[tokio::test]
async fn a_first_start_that_was_cut_short_is_finished_and_a_file_beyond_a_floor_can_be_mended() {
    let folder = tempfile::tempdir().unwrap();
    let store = Sqlite::open(&folder.path().join("vagt.db")).await.unwrap();
    let now: Timestamp = "2026-11-22T08:00:00Z".parse().unwrap();
    let file = folder.path().join("copd.toml");
    std::fs::write(&file, triage::COPD).unwrap();
    office::keep(&store, triage::COPD, "copd", shipped(), FILE, "copd.toml", now).await.unwrap();
    bring_in(&store, Some(folder.path()), now).await.unwrap();
    let in_use = |library: Library| (library.in_use().get("copd").copied(), library.in_use().get(CLINIC_ID).copied());
    assert_eq!(in_use(Library::open(&store, now).await.unwrap()), (Some(shipped()), Some(1)));

    let folder = tempfile::tempdir().unwrap();
    let store = Sqlite::open(&folder.path().join("vagt.db")).await.unwrap();
    let beyond = triage::COPD.replacen("85", "80", usize::MAX);
    std::fs::write(folder.path().join("copd.toml"), beyond.split("[[example]]").next().unwrap()).unwrap();
    let refused = format!("{:#}", bring_in(&store, Some(folder.path()), now).await.unwrap_err());
    assert!(refused.contains("passes the safety floor of 83 %"), "{refused}");
    std::fs::write(folder.path().join("copd.toml"), triage::COPD).unwrap();
    bring_in(&store, Some(folder.path()), now).await.unwrap();
    assert_eq!(Library::open(&store, now).await.unwrap().in_use().get("copd"), Some(&shipped()));
}

#[tokio::test]
async fn a_broken_file_stops_a_first_start_and_no_clinic_that_judges_by_what_is_stored() {
    let folder = tempfile::tempdir().unwrap();
    let store = Sqlite::open(&folder.path().join("vagt.db")).await.unwrap();
    let now: Timestamp = "2026-11-22T08:00:00Z".parse().unwrap();
    std::fs::write(folder.path().join("heart.toml"), "[programme]\nid = 7\n").unwrap();
    assert!(bring_in(&store, Some(folder.path()), now).await.is_err());
    let good = tempfile::tempdir().unwrap();
    std::fs::write(good.path().join("copd.toml"), triage::COPD).unwrap();
    bring_in(&store, Some(good.path()), now).await.unwrap();
    bring_in(&store, Some(folder.path()), now).await.unwrap();
    assert_eq!(Library::open(&store, now).await.unwrap().in_use().get("copd"), Some(&shipped()));
}

#[tokio::test]
async fn nobody_is_called_what_files_are_called_and_so_goes_round_four_eyes() {
    let mut office = Office::open().await;
    let (user, name, role) = (FILE.to_owned(), "File".to_owned(), "operator".to_owned());
    let account = Account { user, name, password_hash: String::new(), role, language: "da".to_owned() };
    office.store.put_account(&account).await.unwrap();
    let next = shipped() + 1;
    assert_eq!(office.propose(&copd(next, "[clinic]", "[clinic] # tried"), FILE).await, Ok(next));
    let refused = office.activate(next, None, FILE).await.unwrap_err();
    assert!(refused.contains("want another person to activate it"), "{refused}");
}

#[tokio::test]
async fn who_does_not_fit_keeps_the_plan_they_have_and_everybody_else_goes_over() {
    let mut office = Office::open().await;
    let before = office.store.roster().await.unwrap();
    let other: Roster = toml::from_str("[[patient]]\nid = \"p-2\"\nname = \"Other\"\nprogramme = \"copd\"\n").unwrap();
    crate::roster::put(&office.store, &other, &before, ("ane", Some("she asked for it")), office.now).await.unwrap();
    let said = office.store.journal(JournalFilter { entries: Some(&["plan_changed"]), ..JournalFilter::default() });
    assert!(
        matches!(&said.await.unwrap()[..], [JournalEntry { by: Some(by), what: Journal::PlanChanged { reason: Some(reason), .. }, .. }]
            if by == "ane" && reason == "she asked for it")
    );

    let judged = |directory: &crate::directory::Directory, patient: &str| {
        directory.plan(&patient.parse().unwrap()).unwrap().programmes()[0].version()
    };
    let roster = office.store.roster().await.unwrap();
    let decided = crate::roster::Decided::read_fitting(&office.store, &TimeZone::UTC, office.now).await.unwrap();
    let running = decided.directory(roster.clone(), &TimeZone::UTC).unwrap();
    assert!(running.unfit().is_empty());
    let basis = serde_json::to_value(&**running.basis(&"p-1".parse().unwrap()).unwrap()).unwrap();

    let text = copd(shipped() + 1, "id = \"spo2\"", "id = \"oxygen\"").replace("rule = \"spo2\"", "rule = \"oxygen\"");
    let text = text.replace("spo2 = \"", "oxygen = \"");
    let next = office.propose(&text, "ane").await.unwrap();
    let activated = Journal::ProgrammeActivated {
        programme: "copd".to_owned(),
        version: next,
        from: office.now,
        proposed_by: "ane".to_owned(),
        reason: "its time has come".to_owned(),
        rollback: false,
    };
    let entry = JournalEntry { at: office.now, by: Some("bo".to_owned()), patient: None, what: activated };
    office.store.append(&[entry]).await.unwrap();
    office.now += SignedDuration::from_secs(1);
    let decided = crate::roster::Decided::read_fitting(&office.store, &TimeZone::UTC, office.now).await.unwrap();
    let taken = decided.directory_after(roster.clone(), &TimeZone::UTC, &running).unwrap();
    assert_eq!((judged(&taken, "p-1"), judged(&taken, "p-2")), (shipped(), next));
    assert!(taken.unfit()[0].to_string().starts_with("patient p-1: "), "{}", taken.unfit()[0]);

    // A start has no plan at hand: what the journal says that they were judged by last stays; where it says nothing, the programme alone.
    let bare = decided.directory(roster.clone(), &TimeZone::UTC).unwrap();
    assert_eq!((judged(&bare, "p-1"), bare.unfit().len()), (next, 1));
    let what = Journal::JudgedBy { basis, from: office.now, fresh: true, why: String::new() };
    let entry = JournalEntry { at: office.now, by: None, patient: Some("p-1".parse().unwrap()), what };
    office.store.append(&[entry]).await.unwrap();
    let decided = crate::roster::Decided::read_fitting(&office.store, &TimeZone::UTC, office.now).await.unwrap();
    let started = decided.directory(roster, &TimeZone::UTC).unwrap();
    assert_eq!((judged(&started, "p-1"), judged(&started, "p-2"), started.unfit().len()), (shipped(), next, 1));
}

#[tokio::test]
async fn of_two_who_decide_at_once_the_slower_decides_by_what_the_faster_did() {
    for round in 0..8_u32 {
        let mut office = Office::open().await;
        let next = shipped() + 1;
        office.propose(&copd(next, "[clinic]", "[clinic] # tried"), "ane").await.unwrap();
        let tell = |result: Result<(), Refused>| result.map_err(|error| error.to_string());
        let activated = async { activate(&office.store, &TimeZone::UTC, ("copd", next), None, office.by("bo")).await };
        let rejected = async { reject(&office.store, ("copd", next), office.by("ane")).await };
        let (activated, rejected) = if round % 2 == 0 {
            tokio::join!(activated, rejected)
        } else {
            let (rejected, activated) = tokio::join!(rejected, activated);
            (activated, rejected)
        };
        let (activated, rejected) = (tell(activated.map(drop)), tell(rejected));
        match (&activated, &rejected) {
            (Ok(()), Err(refused)) => assert!(refused.contains("is in use"), "{refused}"),
            (Err(refused), Ok(())) => assert!(refused.contains("was turned down"), "{refused}"),
            both => panic!("one of two is refused by what the other did: {both:?}"),
        }
        let used = office.in_use(office.now + SignedDuration::from_secs(1)).await;
        assert_eq!(used, Some(if activated.is_ok() { next } else { shipped() }));
    }
}

/// A text that was taken in before `late_after` had a least length.
async fn stored_before(office: &mut Office, version: u32) -> Timestamp {
    let text = copd(version, "late_after = \"24h\"", "late_after = \"0h\"");
    office.now += SignedDuration::from_secs(1);
    office::keep(&office.store, &text, "copd", version, "ane", "of an earlier Vagt", office.now).await.unwrap();
    office.now += SignedDuration::from_secs(1);
    office.now
}

#[tokio::test]
async fn what_is_in_use_is_judged_by_though_todays_bounds_refuse_it_and_comes_into_use_no_more() {
    let mut office = Office::open().await;
    let next = shipped() + 1;
    let at = stored_before(&mut office, next).await;
    let fault = "clinic.late_after: found 0s, want at least 15m";
    let refused = office.activate(next, None, "bo").await.unwrap_err();
    assert!(refused.contains(fault), "{refused}");
    // It was taken into use before, too.
    let what = Journal::ProgrammeActivated {
        programme: "copd".to_owned(),
        version: next,
        from: at,
        proposed_by: "ane".to_owned(),
        reason: "test".to_owned(),
        rollback: false,
    };
    office.store.append(&[JournalEntry { at, by: Some("bo".to_owned()), patient: None, what }]).await.unwrap();
    bring_in(&office.store, None, office.now).await.unwrap();
    let library = Library::open(&office.store, office.now).await.unwrap();
    assert_eq!(library.named("copd").map(|programme| programme.version()), Ok(next));
    let outgrown = library.outgrown();
    assert!(outgrown.len() == 1 && outgrown[0].contains(fault), "{outgrown:?}");
    let explained = library.explained("copd", next).unwrap();
    assert!(
        explained.contains("can't be taken into use anew; where it is in use, it stays:\n- copd version"),
        "{explained}"
    );
    // Who is in it goes on to be judged, and can have settings of their own.
    let roster = office.store.roster().await.unwrap();
    let books = library.books().unwrap();
    assert!(plan_of(&roster.patients[0], &books, &TimeZone::UTC).is_ok());
    // No way back to it, and no proposal of it.
    let last = next + 1;
    office.propose(&copd(last, "[clinic]", "[clinic] # mended"), "ane").await.unwrap();
    office.activate(last, None, "bo").await.unwrap();
    office.now += SignedDuration::from_secs(1);
    assert_eq!(Library::open(&office.store, office.now).await.unwrap().outgrown(), Vec::<String>::new());
    let back = rollback(&office.store, &TimeZone::UTC, "copd", office.by("ane")).await.unwrap_err().to_string();
    assert!(back.contains(fault), "{back}");
    let again =
        office.propose(&copd(last + 1, "late_after = \"24h\"", "late_after = \"0h\""), "ane").await.unwrap_err();
    assert!(again.contains(fault), "{again}");
}

#[tokio::test]
async fn a_shadow_that_is_taken_into_use_has_ended_and_says_so() {
    use crate::tuning::{
        shadow::{self, Ended},
        shadow_report::report,
    };
    let mut office = Office::open().await;
    let next = shipped() + 1;
    office.propose(&copd(next, "[clinic]", "[clinic] # tried"), "ane").await.unwrap();
    let began = office.now + SignedDuration::from_secs(1);
    shadow::start(&office.store, ("copd", next), "ane", began).await.unwrap();
    let friday = office.now + SignedDuration::from_hours(72);
    office.activate(next, Some(friday), "bo").await.unwrap();
    let running = async |at| shadow::running(&office.store, at).await.unwrap();
    assert_eq!((running(office.now).await.len(), running(friday).await.len()), (1, 0));
    let after = friday + SignedDuration::from_hours(24);
    let ever = shadow::ever(&office.store, after).await.unwrap();
    assert_eq!(ever[0].ended, Some((friday, Ended::TakenIntoUse)));
    let stopped = shadow::stop(&office.store, ("copd", next), "ane", after).await.unwrap_err().to_string();
    assert!(stopped.ends_with(&format!("does not run as a shadow: it was taken into use at {friday}")), "{stopped}");
    let told = report(&office.store, &ever[0], None, after, &TimeZone::UTC).await.unwrap();
    assert_eq!(told.until, friday, "what was raised in use is not laid beside itself");
    assert!(told.to_string().contains(&format!("until {friday}, when it was taken into use")), "{told}");
    // Who goes back from it has no shadow again unawares; started anew, it runs from then on.
    office.now = after;
    rollback(&office.store, &TimeZone::UTC, "copd", office.by("ane")).await.unwrap();
    let later = after + SignedDuration::from_hours(1);
    assert_eq!(shadow::running(&office.store, later).await.unwrap(), []);
    shadow::start(&office.store, ("copd", next), "ane", later).await.unwrap();
    let anew = shadow::running(&office.store, later).await.unwrap();
    // A nanosecond after the entry that says so.
    assert_eq!(anew.len(), 1);
    assert!(anew[0].since.duration_since(later) < SignedDuration::from_secs(1), "{}", anew[0].since);
}
