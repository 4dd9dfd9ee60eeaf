//! What watches the service, checked: dashboards and alert rules name only what exists, every alarm has its page in the runbook, Prometheus'
//! own checker takes the rules and their tests, and the units and the compose file are what their programs take.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::Value;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the workspace").to_owned()
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Runs a program that must be there; `package` is what to install if it is not.
fn run(program: &str, package: &str, arguments: &[&str]) -> Output {
    let run = Command::new(program).args(arguments).current_dir(root()).output();
    run.unwrap_or_else(|error| panic!("{program}: {error}: install Debian's {package} (.ci/install test)"))
}

#[track_caller]
fn takes(program: &str, package: &str, arguments: &[&str]) {
    let output = run(program, package, arguments);
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&said));
}

/// Rust files of the crates' sources, without their tests.
fn sources() -> Vec<(PathBuf, String)> {
    fn walk(folder: &Path, into: &mut Vec<(PathBuf, String)>) {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                walk(&path, into);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).expect("readable");
                let code = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default().to_owned();
                into.push((path, code));
            }
        }
    }
    let mut found = Vec::new();
    for entry in fs::read_dir(root().join("crates")).expect("crates") {
        walk(&entry.expect("a crate").path().join("src"), &mut found);
    }
    assert!(found.len() > 100);
    found
}

/// The words of a text that begin so and go on with lower-case letters and underscores.
fn words<'a>(text: &'a str, beginning: &str) -> BTreeSet<&'a str> {
    let is_word = |c: char| c.is_ascii_lowercase() || c == '_';
    text.split(|c| !is_word(c)).filter(|word| word.starts_with(beginning) && word.len() > beginning.len()).collect()
}

/// The metrics of docs/metrics.md, which a test of the hub compares with the program's table, each with its kind; and the process's.
fn published() -> BTreeMap<String, String> {
    let page = read("docs/metrics.md");
    let row = |line: &str| {
        let mut cells = line.strip_prefix("| `")?.split('|');
        Some((cells.next()?.trim().trim_end_matches('`').to_owned(), cells.next()?.trim().to_owned()))
    };
    let mut metrics: BTreeMap<String, String> = page.lines().filter_map(row).collect();
    metrics.extend(words(&page, "process_").into_iter().map(|name| (name.to_owned(), "process".to_owned())));
    assert!(metrics.len() > 50, "found only {} metrics", metrics.len());
    metrics
}

/// The metric that a series is of: a histogram has three of them.
fn is_published(name: &str, published: &BTreeMap<String, String>) -> bool {
    let histogram = ["_bucket", "_sum", "_count"].iter().find_map(|suffix| name.strip_suffix(suffix));
    match histogram.and_then(|base| published.get(base)) {
        Some(kind) => kind == "histogram",
        None => published.get(name).is_some_and(|kind| kind != "histogram"),
    }
}

/// What else is called so: cookies, a schema.
const NO_METRICS: &[&str] = &["vagt_session", "vagt_form", "vagt_schema"];

#[test]
fn every_metric_that_is_measured_is_in_the_table_and_no_other() {
    let published = published();
    let mut measured = BTreeSet::new();
    for (path, code) in sources().iter().filter(|(path, _)| !path.ends_with("watching/metrics.rs")) {
        let quoted = code.split('"').skip(1).step_by(2).filter(|text| text.starts_with("vagt_"));
        let names = quoted.filter(|text| text.chars().all(|c| c.is_ascii_lowercase() || c == '_'));
        for name in names.filter(|name| !NO_METRICS.contains(name)) {
            assert!(
                published.contains_key(name),
                "{}: {name} is not in the table of watching/metrics.rs",
                path.display()
            );
            measured.insert(name.to_owned());
        }
    }
    for name in published.keys().filter(|name| name.starts_with("vagt_")) {
        assert!(measured.contains(name), "{name} is in the table, and nothing measures it");
    }
}

/// Every dashboard, parsed.
fn dashboards() -> Vec<(String, Value)> {
    let folder = root().join("dashboards");
    let files = fs::read_dir(folder).expect("dashboards").map(|entry| entry.expect("an entry").path());
    let json = files.filter(|path| path.extension().is_some_and(|extension| extension == "json"));
    let read = |path: PathBuf| {
        let name = path.file_name().expect("a file").to_string_lossy().into_owned();
        let text = fs::read_to_string(&path).expect("readable");
        (name.clone(), serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}")))
    };
    json.map(read).collect()
}

#[test]
fn dashboards_show_only_metrics_and_views_that_exist() {
    let published = published();
    let migrations = [
        read("crates/store/migrations/sqlite/0001_begin.sql"),
        read("crates/store/migrations/postgres/0001_begin.sql"),
    ];
    let dashboards = dashboards();
    let names: Vec<&str> = dashboards.iter().map(|(name, _)| name.as_str()).collect();
    for wanted in ["operations.json", "clinic.json", "kits.json", "readings.json"] {
        assert!(names.contains(&wanted), "{names:?}");
    }
    let mut uids = BTreeSet::new();
    for (file, dashboard) in &dashboards {
        assert!(uids.insert(dashboard["uid"].as_str().expect("a uid")), "{file}: its uid is another's");
        for panel in dashboard["panels"].as_array().expect("panels") {
            let title = panel["title"].as_str().expect("a title");
            assert!(
                !panel["description"].as_str().unwrap_or_default().is_empty(),
                "{file}: {title} does not say what it shows"
            );
            for target in panel["targets"].as_array().expect("targets") {
                let expression = target["expr"].as_str().unwrap_or_default();
                let sql = target["rawSql"].as_str().unwrap_or_default();
                assert!(expression.is_empty() != sql.is_empty(), "{file}: {title} asks nothing, or two things");
                for name in words(expression, "vagt_").union(&words(expression, "process_")) {
                    assert!(is_published(name, &published), "{file}: {title} shows {name}, which nothing measures");
                }
                let tables = sql.split_whitespace().skip_while(|word| *word != "FROM").skip(1).take(1);
                for view in tables.chain(sql.split(" JOIN ").skip(1).filter_map(|rest| rest.split_whitespace().next()))
                {
                    let made = format!("CREATE VIEW {view} AS");
                    assert!(
                        migrations.iter().all(|sql| sql.contains(&made)),
                        "{file}: {title} reads {view}, which is no published view"
                    );
                }
            }
        }
    }
}

/// The alert rules, each with its expression.
fn rules() -> BTreeMap<String, String> {
    let text = read("dashboards/prometheus/alerts.yml");
    let mut rules = BTreeMap::new();
    let mut last = None;
    for line in text.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix("- alert: ") {
            last = Some(name.to_owned());
        } else if let (Some(expression), Some(name)) = (line.strip_prefix("expr: "), last.take()) {
            rules.insert(name, expression.to_owned());
        }
    }
    assert_eq!(rules.len(), text.matches("- alert: ").count());
    assert!(rules.len() > 20);
    rules
}

/// The one that is always raised: that it stops is what tells.
const WATCHDOG: (&str, &str) = ("VagtWatchdog", "vector(1)");

#[test]
fn alert_rules_ask_only_for_metrics_that_exist() {
    let published = published();
    let mut rules = rules();
    assert_eq!(rules.remove(WATCHDOG.0).as_deref(), Some(WATCHDOG.1));
    for (rule, expression) in rules {
        let asked: Vec<_> = words(&expression, "vagt_").into_iter().chain(words(&expression, "process_")).collect();
        assert!(!asked.is_empty() || expression.starts_with("up{"), "{rule} asks for nothing of ours: {expression}");
        for name in asked {
            assert!(is_published(name, &published), "{rule} asks for {name}, which nothing measures");
        }
    }
}

/// A metric that nobody looks at is kept up for nothing, or should have been looked at.
#[test]
fn every_metric_is_on_a_dashboard_or_in_a_rule() {
    let dashboards = dashboards().into_iter().map(|(_, dashboard)| dashboard.to_string());
    let shown: String = dashboards.chain(rules().into_values()).collect();
    let named = words(&shown, "vagt_");
    for name in published().keys().filter(|name| name.starts_with("vagt_")) {
        let series = ["_bucket", "_sum", "_count"].map(|suffix| format!("{name}{suffix}"));
        let is_shown = named.contains(name.as_str()) || series.iter().any(|series| named.contains(series.as_str()));
        assert!(is_shown, "{name} is on no dashboard and in no alert rule");
    }
}

#[test]
fn every_alarm_has_its_page_in_the_runbook_and_every_page_its_alarm() {
    let (runbook, text) = (read("docs/runbook.md"), read("dashboards/prometheus/alerts.yml"));
    let headings: BTreeSet<&str> = runbook.lines().filter_map(|line| line.strip_prefix("### ")).collect();
    let rules = rules();
    assert_eq!(headings, rules.keys().map(String::as_str).collect(), "the runbook's headings and the rules differ");
    for (heading, section) in runbook.split("\n### ").skip(1).filter_map(|section| section.split_once('\n')) {
        for part in ["- **Means**: ", "- **At risk**: ", "- **Look**: ", "- **Do**: "] {
            assert!(section.contains(part), "{heading} does not say {part}");
        }
        let anchor = format!("runbook: docs/runbook.md#{}\n", heading.to_lowercase());
        assert!(text.contains(&anchor), "the rule {heading} does not lead to its page");
    }
}

#[test]
fn prometheus_takes_the_rules_and_each_is_raised_by_what_it_is_for() {
    takes("promtool", "prometheus", &["check", "rules", "dashboards/prometheus/alerts.yml"]);
    takes("promtool", "prometheus", &["test", "rules", "dashboards/prometheus/alerts_test.yml"]);
    let tests = read("dashboards/prometheus/alerts_test.yml");
    for rule in rules().keys() {
        assert!(tests.contains(&format!("- name: {rule}\n")), "{rule} has no test that raises it");
        assert!(
            rule == WATCHDOG.0 || tests.contains(&format!("alertname: {rule}, exp_alerts: []")),
            "{rule} is not among those that a healthy clinic does not raise"
        );
    }
}

#[test]
fn prometheus_takes_its_configuration_with_the_rules_beside_it() {
    let folder = tempfile::tempdir().expect("a folder");
    for (from, to) in
        [("config/prometheus/prometheus.yml", "prometheus.yml"), ("dashboards/prometheus/alerts.yml", "alerts.yml")]
    {
        fs::copy(root().join(from), folder.path().join(to)).expect("copied");
    }
    let file = folder.path().join("prometheus.yml");
    takes("promtool", "prometheus", &["check", "config", file.to_str().expect("UTF-8")]);
}

/// Where an alarm goes that no rule raised: by its severity, and to whoever is woken where it has none.
#[test]
fn every_alarm_reaches_somebody_by_its_severity() {
    let file = "config/alertmanager/alertmanager.yml";
    takes("amtool", "prometheus-alertmanager", &["check-config", file]);
    for (labels, receiver) in [
        ("severity=page", "page"),
        ("severity=ticket", "ticket"),
        ("severity=watchdog", "watchdog"),
        ("alertname=Other", "page"),
    ] {
        let (file, verify) = (format!("--config.file={file}"), format!("--verify.receivers={receiver}"));
        takes("amtool", "prometheus-alertmanager", &["config", "routes", "test", &file, &verify, labels]);
    }
    let alerts = read("dashboards/prometheus/alerts.yml");
    let severities = alerts.matches("severity: page").count() + alerts.matches("severity: ticket").count();
    assert_eq!(severities, rules().len() - 1, "each rule has one of the two, but for the watchdog");
    assert_eq!(alerts.matches("severity: watchdog").count(), 1, "the watchdog is heard elsewhere");
    assert!(read("config/prometheus/prometheus.yml").contains("alertmanager:9093"), "Prometheus tells nobody");
}

/// How exposed a unit may be at most, in tenths, as systemd counts it: 1.6 and 1.2 are counted, and an unhardened unit has 9.6.
const EXPOSURE_MAX: &str = "20";

#[test]
fn systemd_takes_the_units_and_finds_them_hardened() {
    for (unit, program) in [("vagt.service", "/usr/bin/vagt"), ("vagt-edge.service", "/usr/bin/vagt-edge")] {
        // The program need not be installed here.
        let text =
            read(&format!("config/systemd/{unit}")).replace(&format!("ExecStart={program} "), "ExecStart=/bin/true ");
        assert!(text.contains("ExecStart=/bin/true "), "{unit} starts {program}");
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join(unit);
        fs::write(&path, text).expect("written");
        let path = path.to_str().expect("UTF-8");
        let verified = run("systemd-analyze", "systemd", &["verify", "--man=no", path]);
        let said = String::from_utf8_lossy(&verified.stderr).into_owned();
        assert!(verified.status.success() && !said.contains("Unknown"), "{unit}: {said}");
        takes(
            "systemd-analyze",
            "systemd",
            &["security", "--offline=true", &format!("--threshold={EXPOSURE_MAX}"), path],
        );
    }
}

#[test]
fn the_compose_file_is_one_and_every_file_that_it_names_is_there() {
    takes("docker-compose", "docker-compose", &["-f", "config/compose.yaml", "config", "-q"]);
    let text = read("config/compose.yaml");
    for part in text.split(['"', ' ', '\n']).filter_map(|word| word.split(':').next()) {
        let is_made = part.contains("/secret/") || part.ends_with("/authority");
        let is_path = (part.starts_with("./") || part.starts_with("../")) && !is_made;
        assert!(
            !is_path || root().join("config").join(part).exists(),
            "config/compose.yaml names {part}, which is not there"
        );
    }
    let images: Vec<&str> = text.lines().filter_map(|line| line.trim().strip_prefix("image: ")).collect();
    assert!(
        images.len() >= 5 && images.iter().all(|image| !image.ends_with(":latest") && image.contains(':')),
        "{images:?}"
    );
}
