//! The kit's page by itself, with one view of every kind: `cargo run -p edge --example kiosk`. Prints its address and the names of the views as a line
//! of JSON; a name on standard input shows that view, and what is pressed is printed.
#![allow(clippy::disallowed_methods, reason = "it plays the outside world, which has a clock")]

mod views;

use std::{io::BufRead as _, sync::Arc};

use edge::{
    kiosk::{Kiosk, KioskSettings, Language, Person},
    round::{Acted, Action, Refusal},
};
use jiff::{Timestamp, tz::TimeZone};
use tokio::{net::TcpListener, sync::watch};
use tokio_util::sync::CancellationToken;

#[tokio::main]
async fn main() {
    let views = views::views(Timestamp::now());
    let (shown, view) = watch::channel(views[0].1.clone());
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let listen = listener.local_addr().expect("it is bound");
    let settings = KioskSettings { listen, language: Language::Da, phone: Some("12 34 56 78".into()) };
    let person = Person { view, act: Arc::new(|action| Box::pin(async move { pressed(&action) })) };
    let stop = CancellationToken::new();
    let zone = TimeZone::get("Europe/Copenhagen").expect("it is bundled");
    let kiosk = Kiosk::new(settings, zone, person, stop.clone());
    let names: Vec<&str> = views.iter().map(|(name, _)| name.as_str()).collect();
    println!("{}", serde_json::json!({ "ready": true, "http": format!("http://{listen}"), "views": names }));
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            match views::views(Timestamp::now()).into_iter().find(|(name, _)| name == line.trim()) {
                Some((name, view)) => {
                    let key = edge::kiosk::key(&view.page);
                    shown.send_replace(view);
                    println!("{}", serde_json::json!({ "shown": name, "key": key }));
                }
                None => println!("{}", serde_json::json!({ "unknown": line })),
            }
        }
        stop.cancel();
    });
    kiosk.serve(listener).await;
}

/// Says what was pressed. A number of 99, no words, and the code 0000 are refused, so that this can be looked at too.
fn pressed(action: &Action) -> Acted {
    println!("{}", serde_json::json!({ "pressed": action }));
    match action {
        Action::Answer { answer, .. } if answer.starts_with("99") => Acted::Refused { why: Refusal::OutOfRange },
        Action::Answer { answer, .. } if answer.is_empty() => Acted::Refused { why: Refusal::Empty },
        Action::Choose { code } if code == "0000" => Acted::Refused { why: Refusal::UnknownCode },
        _ => Acted::Done,
    }
}
