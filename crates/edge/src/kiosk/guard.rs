//! What every request passes. The page has no sign-in: whoever stands before the kit may use it. So it listens on loopback alone, answers only to a
//! loopback name (a page elsewhere can point a name of its own at 127.0.0.1), and takes a change only from itself.

use std::net::{IpAddr, Ipv6Addr};

use axum::{
    extract::Request,
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

/// The largest body that is read.
pub const BODY_BYTES_MAX: usize = 8 * 1024;

/// Nothing from elsewhere, nothing inline, no frames, no plug-ins.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

const HEADERS: &[(&str, &str)] = &[
    ("content-security-policy", POLICY),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "same-origin"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("permissions-policy", "camera=(), geolocation=(), microphone=()"),
];

/// Refuses what is not meant for this page or does not come from it, and puts the security headers on every answer.
pub async fn guard(request: Request, next: Next) -> Response {
    let mut response = match refusal(request.method(), request.headers()) {
        Some(sentence) => (StatusCode::FORBIDDEN, sentence).into_response(),
        None => next.run(request).await,
    };
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

fn refusal(method: &Method, headers: &HeaderMap) -> Option<&'static str> {
    let host = text(headers, "host").unwrap_or_default();
    if !is_loopback(host) {
        return Some("this page answers only to localhost or a loopback address\n");
    }
    if !is_opened(headers) {
        return Some("this page is not part of another\n");
    }
    let changes = !matches!(*method, Method::GET | Method::HEAD);
    (changes && !is_own(headers, host)).then_some("this page takes a change only from itself\n")
}

/// `localhost` or a loopback address, with or without a port. The port may be any: it may be forwarded.
fn is_loopback(host: &str) -> bool {
    if let Some(inside) = host.strip_prefix('[').and_then(|rest| rest.split_once(']')).map(|(inside, _)| inside) {
        return inside.parse::<Ipv6Addr>().is_ok_and(|address| address.is_loopback());
    }
    let name = host.split_once(':').map_or(host, |(name, _)| name);
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Another page in the same browser may send a person here, but not draw on what is here: a picture that is the live stream takes one of its
/// places, and reads nothing, but keeps it from the page itself.
fn is_opened(headers: &HeaderMap) -> bool {
    let elsewhere = text(headers, "sec-fetch-site").is_some_and(|site| !matches!(site, "same-origin" | "none"));
    !elsewhere || text(headers, "sec-fetch-dest") == Some("document")
}

/// Every browser says where a change comes from; what does not say it is not our page.
fn is_own(headers: &HeaderMap, host: &str) -> bool {
    let site_ok = text(headers, "sec-fetch-site").is_none_or(|site| matches!(site, "same-origin" | "none"));
    let origin = text(headers, "origin").and_then(|origin| origin.split_once("://"));
    site_ok && origin.is_some_and(|(_, at)| at.eq_ignore_ascii_case(host))
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(method: Method, lines: &[(&'static str, &str)], wanted: bool) {
        let headers =
            lines.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect();
        assert_eq!(refusal(&method, &headers).is_none(), wanted, "{method} {lines:?}");
    }

    #[test]
    fn only_a_loopback_name_is_answered() {
        for host in ["localhost", "LOCALHOST:8088", "127.0.0.1:8088", "127.4.5.6", "[::1]:8088"] {
            check(Method::GET, &[("host", host)], true);
        }
        for host in
            ["", "kit.example", "127.0.0.1.kit.example:8088", "192.168.1.2", "[fe80::1]", "localhost.example", "[::1"]
        {
            check(Method::GET, &[("host", host)], false);
        }
        check(Method::GET, &[], false);
    }

    #[test]
    fn another_page_may_lead_here_and_not_take_a_place() {
        let (own, site) = (("host", "localhost:8088"), |site| ("sec-fetch-site", site));
        check(Method::GET, &[own, site("cross-site"), ("sec-fetch-dest", "document")], true);
        for from in ["cross-site", "same-site"] {
            for dest in ["image", "empty", "iframe", "script"] {
                check(Method::GET, &[own, site(from), ("sec-fetch-dest", dest)], false);
            }
            check(Method::GET, &[own, site(from)], false);
        }
        check(Method::GET, &[own, site("same-origin"), ("sec-fetch-dest", "empty")], true);
        check(Method::GET, &[own, site("none"), ("sec-fetch-dest", "document")], true);
    }

    #[test]
    fn a_change_must_come_from_the_page_itself() {
        let own = ("host", "localhost:8088");
        check(Method::POST, &[own, ("origin", "http://localhost:8088")], true);
        check(Method::POST, &[own, ("origin", "http://localhost:8088"), ("sec-fetch-site", "same-origin")], true);
        check(Method::POST, &[own, ("origin", "http://localhost:8088"), ("sec-fetch-site", "cross-site")], false);
        check(Method::POST, &[own, ("origin", "http://localhost:9999")], false);
        check(Method::POST, &[own, ("origin", "http://127.0.0.1:8088")], false);
        check(Method::POST, &[own, ("origin", "https://evil.example")], false);
        check(Method::POST, &[own, ("origin", "null")], false);
        check(Method::POST, &[own], false);
        check(Method::DELETE, &[own], false);
    }
}
