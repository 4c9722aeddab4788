//! The configuration, as its users meet it: the files that we hand out, and what is said about mistakes.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::sync::LazyLock;
use std::time::Duration;

use firedoor::config::error::ConfigError;
use firedoor::config::parse::Environment;
use firedoor::config::{Config, Failback, LoadError, MinHealthy};
use proptest::prelude::*;

const MINIMAL: &str = include_str!("../../config/minimal.toml");
const COMPLETE: &str = include_str!("../../config/firedoor.toml");
const MISTAKES: &str = include_str!("mistakes.txt");

const LISTENER: &str = r#"
[[listener]]
bind = "127.0.0.1:8080"
"#;

const ZONES: &str = r#"
[[zone]]
name = "fz-1"
backend = [{ address = "127.0.0.1:9001" }]
[[zone]]
name = "fz-2"
backend = [{ address = "127.0.0.1:9101" }]
"#;

/// A small world in which every value is a secret.
struct Sealed;

const SECRETS: [&str; 2] = ["31415", "tell-nobody"];

impl Environment for Sealed {
    fn variable(&self, name: &str) -> Option<String> {
        (name == "SECRET").then(|| SECRETS[0].to_owned())
    }

    fn file(&self, path: &Path) -> Result<String, String> {
        match path.to_str() {
            Some("admin.token") => Ok(SECRETS[1].to_owned()),
            Some("empty.token") => Ok(" ".to_owned()),
            Some("large.html") => Ok("x".repeat((1 << 20) + 1)),
            Some("sorry.html") => Ok("<p>Sorry</p>".to_owned()),
            Some("binary.pem" | "binary.key") => {
                Err("line 1 is not UTF-8, which the whole file must be".to_owned())
            }
            Some("old.pem") => Ok(OLD.to_owned()),
            Some("old.key") => pem("app.key"),
            Some("curve.key") => Ok(CURVE.to_owned()),
            Some("reversed.pem") => Ok(pem("other.pem")? + &pem("app.pem")?),
            Some(path) if path.ends_with(".pem") || path.ends_with(".key") => pem(path),
            _ => Err("no such file".to_owned()),
        }
    }
}

/// Certificates `app` and `other` for one name each, `nameless` for an address; each with its key.
fn pem(file: &str) -> Result<String, String> {
    static FILES: LazyLock<HashMap<String, String>> = LazyLock::new(|| {
        let hosts = [
            ("app", "app.example"),
            ("other", "other.example"),
            ("nameless", "10.1.0.1"),
        ];
        let files = hosts.into_iter().flat_map(|(name, host)| {
            let signed = rcgen::generate_simple_self_signed([host.to_owned()]).expect("a name");
            [
                (format!("{name}.pem"), signed.cert.pem()),
                (format!("{name}.key"), signed.signing_key.serialize_pem()),
            ]
        });
        files.collect()
    });
    let found = FILES.get(file);
    found.cloned().ok_or_else(|| "no such file".to_owned())
}

/// Of X.509, version 1, as `openssl x509 -req` makes them.
const OLD: &str = "-----BEGIN CERTIFICATE-----
MIIBEjCBuQIUYeGNxt/s/KjH0j/gJ3sg3gauKFQwCgYIKoZIzj0EAwIwDDEKMAgG
A1UEAwwBYTAeFw0yNjExMjkwNDM2MDdaFw0yNjEyMDgwNDM2MDdaMAwxCjAIBgNV
BAMMAWEwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAAR/noOqZESRBeSc6KMKhxZR
wgg3z+nKE9OIih/2JEocGVyEKhSE4te3SGO7qLn/LO9T46BLOKo5aRw88mAq1/BZ
MAoGCCqGSM49BAMCA0gAMEUCIBSjEpfJoQqgJF69sDch6H1hnQDpDH1iGHAraRyF
mj93AiEA2XYlWuqa+nDUZqKTlrWjHdtmZJ/C53cQjaE2bzmi/JI=
-----END CERTIFICATE-----";

/// Of no use to anybody: on secp256k1.
const CURVE: &str = "-----BEGIN PRIVATE KEY-----
MIGEAgEAMBAGByqGSM49AgEGBSuBBAAKBG0wawIBAQQgRO3YGOgc8sZLg9sjEQuY
6GdjToaAkELEHrp5vSGvQz2hRANCAATlHeMml5SxCLGWg2cE7RXINJthrl8GQ/yH
/CdIsxw3IWuxh1NnAusSUMywZEAClfoFMbRrKIhVl/cR06tBLj4T
-----END PRIVATE KEY-----";

fn parse(text: &str) -> Result<Config, ConfigError> {
    Config::parse(text, Path::new("firedoor.toml"), &Sealed)
}

/// Both with the real environment, as `serve` reads them.
#[test]
fn the_files_that_we_hand_out_are_valid() {
    for file in ["minimal.toml", "firedoor.toml"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("config")
            .join(file);
        let config = firedoor::config::load(&path).expect(file);
        assert_eq!(config.warnings(), [], "{file}");
        assert_eq!(config.zones.len(), 2, "{file}");
        assert!(config.listeners[0].bind.ip().is_loopback(), "{file}");
    }
}

/// Otherwise the complete file would teach defaults that aren't.
#[test]
fn the_complete_file_says_what_the_minimal_one_means() {
    let complete = parse(COMPLETE).unwrap();
    let minimal = parse(MINIMAL).unwrap();
    assert_eq!(complete.server, minimal.server);
    assert_eq!(complete.listeners, minimal.listeners);
    assert_eq!(complete.admin, minimal.admin);
    assert_eq!(complete.limits, minimal.limits);
    assert_eq!(complete.upstream, minimal.upstream);
    assert_eq!(complete.failover, minimal.failover);
    assert_eq!(complete.access_log, minimal.access_log);
    assert_eq!(complete.journal, minimal.journal);
    assert_eq!(complete.traces, minimal.traces);
    assert_eq!(complete.pools[0], minimal.pools[0]);
    assert_eq!(
        complete.zones[0].backends[0].weight,
        minimal.zones[0].backends[0].weight
    );
}

#[test]
fn every_key_of_the_complete_file_is_explained() {
    let mut explained = 0;
    let mut before = "";
    for line in COMPLETE.lines() {
        let sets = line.starts_with(|c: char| c.is_ascii_lowercase()) && line.contains(" = ");
        if sets {
            assert!(line.contains(" # "), "no comment: {line}");
        }
        if line.starts_with('[') {
            assert!(before.starts_with("# "), "no comment above: {line}");
        }
        explained += usize::from(sets);
        before = line;
    }
    assert!(explained > 60, "only {explained} keys were looked at");
}

/// The parser itself tells which keys it knows: it lists them for a key that is like none of them.
#[test]
fn the_complete_file_has_every_key() {
    const ODD: &str = "qqqqqqqqqqqqqqqq = 1\n";
    let odd = format!(
        "{ODD}[server]\n{ODD}[[listener]]\n{ODD}[listener.tls]\n{ODD}[listener.tls.acme]\n{ODD}[[listener.tls.certificate]]\n{ODD}[admin]\n{ODD}[limits]\n{ODD}[upstream]\n{ODD}[check]\n{ODD}[failover]\n{ODD}\
         [access_log]\n{ODD}[tracing]\n{ODD}[[notify]]\n{ODD}[journal]\n{ODD}[[pool]]\n{ODD}[[route]]\n{ODD}[[zone]]\n{ODD}[[zone.backend]]\n{ODD}[[zone.dependency]]\n{ODD}"
    );
    let kinds = [
        "tcp", "tls", "postgres", "redis", "mysql", "grpc", "command",
    ];
    let odd = kinds.iter().fold(odd, |odd, kind| {
        format!("{odd}[[zone.dependency]]\n[zone.dependency.check]\nkind = \"{kind}\"\n{ODD}[zone.dependency.check.tls]\n{ODD}")
    });
    let error = parse(&odd).unwrap_err();
    let hints = error.problems.iter().filter_map(|problem| {
        let hint = problem.hint.as_deref()?;
        hint.strip_prefix("known here: ")
    });
    let known: BTreeSet<&str> = hints.flat_map(|hint| hint.split(", ")).collect();
    assert!(known.len() > 55, "only {known:?}");
    for key in known {
        let there = COMPLETE.lines().any(|line| {
            let line = line
                .strip_prefix("# ")
                .unwrap_or(line)
                .trim_start_matches('[');
            line.strip_prefix(key)
                .or_else(|| line.strip_prefix("zone.")?.strip_prefix(key))
                .or_else(|| line.strip_prefix("listener.tls.")?.strip_prefix(key))
                .is_some_and(|rest| rest.starts_with(" = ") || rest.starts_with(']'))
        });
        assert!(there, "{key} is missing from firedoor.toml");
    }
}

#[test]
fn every_mistake_is_found_and_explained() {
    let mut cases = 0;
    let mut problems = 0;
    for case in MISTAKES.split("\n== ").skip(1) {
        let (title, body) = case.split_once('\n').unwrap();
        let (title, rest) = title.split_once(" | ").unwrap();
        let (expected, text): (Vec<&str>, Vec<&str>) =
            body.lines().partition(|line| line.starts_with("> "));
        let mut text = text.join("\n");
        for part in rest.split(' ') {
            text += match part {
                "listener" => LISTENER,
                "zones" => ZONES,
                _ => "",
            };
        }
        let found = match parse(&text) {
            Ok(_) => panic!("{title}: accepted"),
            Err(error) => error
                .to_string()
                .replace("; firedoor.toml:", "\n>")
                .replace("firedoor.toml:", ">")
                .replace("> ", ">"),
        };
        let expected = expected.join("\n").replace("> ", ">");
        assert_eq!(found, expected, "\n== {title}\n{found}\n");
        cases += 1;
        problems += found.lines().count();
    }
    assert!(cases > 40, "only {cases} cases were read");
    assert!(problems > 100, "only {problems} problems were compared");
}

#[test]
fn secrets_are_used_but_never_shown() {
    let text = format!(
        "{LISTENER}{ZONES}dependency = [{{ check = {{ kind = \"redis\", address = \"127.0.0.1:6379\", password = \"${{file:admin.token}}\" }} }},\n\
         {{ check = {{ kind = \"postgres\", address = \"127.0.0.1:5432\", user = \"health\", password = \"${{file:admin.token}}\" }} }}]\n\
         [admin]\nbind = \"0.0.0.0:9900\"\ntoken_file = \"admin.token\"\n[check]\nbody = \"${{file:admin.token}}\"\n"
    );
    let config = parse(&text).unwrap();
    assert_eq!(config.admin.token.as_ref().unwrap().expose(), SECRETS[1]);
    for shown in [format!("{:?}", config.admin), format!("{:?}", config.zones)] {
        assert!(!shown.contains(SECRETS[1]), "{shown}");
    }

    // Every key that takes a string gets one that it must refuse.
    for secret in ["${SECRET}", "${file:admin.token}"] {
        let mut refused = 0;
        for line in COMPLETE.lines() {
            let Some((key, _)) = line.split_once(" = \"") else {
                continue;
            };
            let text = COMPLETE.replace(line, &format!("{key} = \"{secret}\""));
            let Err(error) = parse(&text) else { continue };
            refused += 1;
            let shown = [
                error.render(false),
                error.to_json().to_string(),
                error.to_string(),
            ];
            for secret in SECRETS {
                assert!(
                    !shown.iter().any(|text| text.contains(secret)),
                    "{key}: {}",
                    shown[0]
                );
            }
        }
        assert!(refused > 15, "only {refused} keys refused {secret}");
    }
}

#[test]
fn a_problem_is_shown_with_its_line_its_caret_and_its_remedy() {
    let text = format!("[limits]\nheader_timout = \"5s\"\n{LISTENER}{ZONES}");
    let error = parse(&text).unwrap_err();
    let expected = r#"error: unknown key "header_timout"
 --> firedoor.toml:2:1
  |
2 | header_timout = "5s"
  | ^^^^^^^^^^^^^ limits.header_timout
  |
  = help: did you mean "header_timeout"?"#;
    assert_eq!(error.render(false), expected);
    assert!(error.render(true).contains("\x1b["));
    assert_eq!(
        error.to_json(),
        serde_json::json!([{
            "file": "firedoor.toml",
            "line": 2,
            "column": 1,
            "key": "limits.header_timout",
            "message": "unknown key \"header_timout\"",
            "hint": "did you mean \"header_timeout\"?",
        }])
    );
}

#[test]
fn values_are_read_in_their_units() {
    let text = format!(
        r#"{LISTENER}{ZONES}
[limits]
header_timeout = "1m30s"
body_timeout = "250ms"
idle_timeout = "1h"
max_header_size = "64KiB"
max_body_size = "10MiB"
[upstream]
retry_budget = "12.5%"
replay_buffer = "0"
[check]
expect = "200,204,300-399"
[failover]
failback = "window"
failback_window = "23:30-04:00 Europe/Berlin"
[[pool]]
name = "default"
min_healthy = 1
"#
    );
    let config = parse(&text).unwrap();
    assert_eq!(config.limits.header_timeout, Duration::from_secs(90));
    assert_eq!(config.limits.body_timeout, Duration::from_millis(250));
    assert_eq!(config.limits.idle_timeout, Duration::from_secs(3600));
    assert_eq!(config.limits.max_header_size, 65_536);
    assert_eq!(config.limits.max_body_size, Some(10 << 20));
    assert_eq!(config.upstream.retry_budget, 0.125);
    assert_eq!(config.upstream.replay_buffer, 0);
    assert_eq!(config.pools[0].min_healthy, MinHealthy::Count(1));
    let Failback::Window(window) = &config.failover.failback else {
        panic!("{:?}", config.failover.failback);
    };
    assert_eq!(window.from, jiff::civil::time(23, 30, 0, 0));
    assert_eq!(window.zone.iana_name(), Some("Europe/Berlin"));
}

/// Of one towards backends; for those of listeners, `tests/tls/renewal.rs` has it.
#[test]
fn a_changed_certificate_that_is_of_no_use_is_named_by_the_file_at_fault() {
    let text = format!(
        "{LISTENER}[[pool]]\nname = \"default\"\ntls = {{ ca = \"other.pem\", cert = \"app.pem\", key = \"app.key\" }}\n\
         [[zone]]\nname = \"fz-1\"\nbackend = [{{ address = \"https://127.0.0.1:9001\" }}]\n"
    );
    let clients = parse(&text).unwrap().renewable_clients();
    let renewed = |cert: &str, key: &str| {
        let texts = [
            pem("other.pem").unwrap(),
            cert.to_owned(),
            pem(key).unwrap(),
        ];
        clients[0].1.renew(&texts).unwrap_err()
    };
    let told = renewed(OLD, "app.key");
    assert!(
        told.starts_with("app.pem: the certificate is of an old version"),
        "{told}"
    );
    let told = renewed(&pem("app.pem").unwrap(), "other.key");
    assert!(
        told.starts_with("app.key: the key belongs to another certificate"),
        "{told}"
    );
}

#[test]
fn a_file_that_cannot_be_read_is_not_an_invalid_one() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing.toml");
    let error = firedoor::config::load(&missing).unwrap_err();
    assert!(matches!(error, LoadError::Unreadable(file, _) if file == missing));

    let empty = folder.path().join("empty.toml");
    std::fs::write(&empty, "").unwrap();
    let error = firedoor::config::load(&empty).unwrap_err();
    assert!(matches!(error, LoadError::Invalid(error) if error.problems.len() == 2));
}

#[test]
fn paths_start_at_the_folder_of_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("firedoor.toml");
    std::fs::write(folder.path().join("admin.token"), "tell-nobody\r\n").unwrap();
    let text = format!(
        "{LISTENER}{ZONES}[server]\nstate_dir = \"memory\"\n[admin]\ntoken_file = \"admin.token\"\n[check]\nbody = \"${{file:admin.token}}!\"\n"
    );
    std::fs::write(&file, text).unwrap();
    let config = firedoor::config::load(&file).unwrap();
    assert_eq!(config.server.state_dir, folder.path().join("memory"));
    assert_eq!(config.admin.token.unwrap().expose(), "tell-nobody");
    let firedoor::config::CheckKind::Http(check) = &config.pools[0].check.kind else {
        panic!("{:?}", config.pools[0].check);
    };
    assert_eq!(check.body.as_deref(), Some("tell-nobody!"));
}

proptest! {
    /// Whatever is torn out of a file or falls into it: there is an answer, it can be shown, and it points into the file.
    #[test]
    fn no_damage_makes_it_panic(from in 0..COMPLETE.len(), length in 0..200_usize, junk in "[\\[\\]\"'=#${}\\n\\\\ä,. a0]{0,6}") {
        let until = (from + length).min(COMPLETE.len());
        let text = format!("{}{junk}{}", &COMPLETE[..from], &COMPLETE[until..]);
        if let Err(error) = parse(&text) {
            prop_assert!(!error.problems.is_empty());
            for problem in &error.problems {
                prop_assert!(!problem.message.is_empty());
                prop_assert!(problem.span.as_ref().is_none_or(|span| text.get(span.clone()).is_some()));
            }
            prop_assert!(error.render(true).contains("firedoor.toml"));
            prop_assert!(error.to_json().is_array());
        }
    }
}

/// Each of the limits that are for a client by itself, alone.
#[test]
fn every_limit_gives_the_key_of_clients_something_to_do() {
    let limits = [
        "rate = \"1/s\"",
        "connection_rate = \"1/s\"",
        "max_connections_per_client = 1",
        "[[route]]\npool = \"default\"\nrate = \"1/s\"",
    ];
    for limit in limits {
        let text = format!(
            "[limits]\nrate_key = \"masked\"\nrate_exempt = [\"10.0.0.0/8\"]\n{limit}\n{LISTENER}{ZONES}"
        );
        assert!(parse(&text).is_ok(), "{limit}");
    }
}

/// What is told about a configuration that is valid.
fn warned(text: &str) -> Vec<String> {
    let warnings = parse(text).expect("valid").warnings().into_iter();
    let told = warnings.map(|warning| format!("{}: {}", warning.key, warning.message));
    told.collect()
}

#[test]
fn a_log_with_secrets_and_a_collector_that_speaks_something_else_are_warned_of() {
    let text = format!(
        "[access_log]\nheaders = [\"Referer\", \"cookie\", \"Authorization\"]\n\
         [tracing]\notlp_endpoint = \"http://127.0.0.1:4317\"\n{LISTENER}{ZONES}"
    );
    let expected = [
        "access_log.headers: cookie lets whoever reads the log pose as the people in it",
        "access_log.headers: authorization lets whoever reads the log pose as the people in it",
        "tracing.otlp_endpoint: at 4317 collectors usually speak gRPC, and firedoor sends OTLP over HTTP",
    ];
    assert_eq!(warned(&text), expected);
}

#[test]
fn a_date_that_is_taken_away_or_fixed_is_warned_of() {
    let routes = [
        ("/removed", "remove = [\"date\"]"),
        (
            "/fixed",
            "set = { Date = \"Mon, 01 Jan 2001 00:00:00 GMT\" }",
        ),
        ("/other", "remove = [\"Server\"]"),
    ];
    let route = |(path, edits)| {
        format!(
            "[[route]]\npath = \"{path}\"\npool = \"default\"\nresponse_headers = {{ {edits} }}\nrequest_headers = {{ remove = [\"Date\"] }}\n"
        )
    };
    let text = routes.map(route).concat() + LISTENER + ZONES;
    let expected = [
        "route[0].response_headers: Date is never gone: without the app's, each response gets firedoor's own",
        "route[1].response_headers: every response would have been made at the same time, by its Date",
    ];
    assert_eq!(warned(&text), expected);
}

/// Which of the routes of `text` are said to redirect without end, behind listeners at the usual ports.
fn circles(routes: &[(&str, &str)]) -> Vec<usize> {
    let route = |(place, does): &(&str, &str)| format!("[[route]]\n{place}\n{does}\n");
    let listeners = "[[listener]]\nbind = \"127.0.0.1:80\"\n\
                     [[listener]]\nbind = \"127.0.0.1:443\"\ntls = { cert = \"app.pem\", key = \"app.key\" }\n";
    let text = format!(
        "{}\n{listeners}{ZONES}",
        routes.iter().map(route).collect::<String>()
    );
    let told = warned(&text).into_iter().filter_map(|warning| {
        let (key, message) = warning.split_once(": ")?;
        let circle = message == "whoever follows it is redirected again, without end";
        assert_eq!(circle, key.ends_with(".redirect.to"), "{warning}");
        let at = key.strip_prefix("route[")?.strip_suffix("].redirect.to")?;
        at.parse().ok()
    });
    told.collect()
}

#[test]
fn a_redirect_that_never_arrives_is_warned_of() {
    const SHOP: &str = "host = \"shop.example\"";
    const BELOW: &str = "host = \"*.example\"";
    for (routes, expected) in [
        // Everybody to one page, which is nobody's.
        (&[("", "redirect = { to = \"/closed\" }")][..], &[0][..]),
        (
            &[
                ("", "redirect = { to = \"/closed\" }"),
                ("path = \"/closed\"", "respond = { body = \"closed\" }"),
            ],
            &[],
        ),
        // What is for one host alone is no way out for the others.
        (
            &[
                ("", "redirect = { to = \"/closed\" }"),
                (
                    "host = \"shop.example\"\npath = \"/closed\"",
                    "respond = { body = \"closed\" }",
                ),
            ],
            &[0],
        ),
        (
            &[
                (SHOP, "redirect = { to = \"/closed/today?{path}\" }"),
                (
                    "host = \"*.example\"\npath = \"/closed\"",
                    "pool = \"default\"",
                ),
                ("path = \"/other\"", "pool = \"default\""),
            ],
            // Nor what is for its host less specifically: this route has every path.
            &[0],
        ),
        // It grows with each step, until it is caught.
        (&[("", "redirect = { to = \"/new{path}\" }")], &[0]),
        (
            &[("", "redirect = { to = \"/new{path}{path}{path}\" }")],
            &[0],
        ),
        (
            &[
                ("", "redirect = { to = \"/new{path}\" }"),
                ("path = \"/new/new\"", "pool = \"default\""),
            ],
            &[],
        ),
        (
            &[(
                "path = \"/api\"",
                "strip_prefix = \"/api\"\nredirect = { to = \"/api/v2{path}{query}\" }",
            )],
            &[0],
        ),
        (
            &[(
                "path = \"/api\"",
                "strip_prefix = \"/api\"\nredirect = { to = \"/v2{path}{query}\" }",
            )],
            &[],
        ),
        // From one to the other and back, and from elsewhere into that.
        (
            &[
                ("path = \"/a\"", "redirect = { to = \"/%62\" }"),
                ("path = \"/b\"", "redirect = { to = \"/x/../a\" }"),
                ("path = \"/c\"", "redirect = { to = \"/a#x\" }"),
                ("path = \"/d\"", "redirect = { to = \"/e\" }"),
                ("path = \"/e\"", "pool = \"default\""),
            ],
            &[0, 1, 2],
        ),
        // To TLS, over TLS.
        (
            &[(
                SHOP,
                "redirect = { to = \"https://Shop.example{path}{query}\" }",
            )],
            &[0],
        ),
        (
            &[(SHOP, "redirect = { to = \"https://{host}:443\" }")],
            &[0],
        ),
        (
            &[(BELOW, "redirect = { to = \"http://{host}{path}\" }")],
            &[0],
        ),
        // To where somebody else may be: another port, another host, or one that only may be a host of the route's.
        (
            &[(
                SHOP,
                "redirect = { to = \"https://shop.example:8443{path}\" }",
            )],
            &[],
        ),
        (
            &[(
                SHOP,
                "redirect = { to = \"https://www.shop.example{path}\" }",
            )],
            &[],
        ),
        (
            &[(BELOW, "redirect = { to = \"https://shop.example{path}\" }")],
            &[],
        ),
        (
            &[("", "redirect = { to = \"https://shop.example{path}\" }")],
            &[],
        ),
        (&[("", "redirect = \"https\"\npool = \"default\"")], &[]),
    ] {
        assert_eq!(circles(routes), expected, "{routes:?}");
    }
}

#[test]
fn a_redirect_to_tls_that_nothing_in_cleartext_comes_to_is_warned_of() {
    let tls = "[[listener]]\nbind = \"127.0.0.1:8443\"\ntls = { cert = \"app.pem\", key = \"app.key\" }\n";
    let route = "[[route]]\npool = \"default\"\nredirect = \"https\"\n";
    let away = format!("{LISTENER}redirect = \"https\"\n");
    let idle = "route[0].redirect: nothing comes to it in cleartext: each listener speaks TLS, or redirects by itself";
    for (listener, expected) in [("", &[idle][..]), (&away, &[idle]), (LISTENER, &[])] {
        let told = warned(&format!("{tls}{listener}{route}{ZONES}"));
        let told: Vec<_> = told
            .iter()
            .filter(|told| told.contains("cleartext"))
            .collect();
        assert_eq!(told, expected, "{listener}");
    }
}

#[test]
fn a_status_that_only_apps_answer_with_has_no_page() {
    let text = format!(
        "[[pool]]\nname = \"default\"\nerror_page = {{ \"404,500, 502-504\" = \"sorry.html\", \"400-599\" = \"sorry.html\" }}\n{LISTENER}{ZONES}"
    );
    let expected = [404, 500].map(|status| {
        format!("pool[0].error_page: firedoor itself never answers a pool's request with {status}, so nobody sees the page for that")
    });
    assert_eq!(warned(&text), expected);
}
