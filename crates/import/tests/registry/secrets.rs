//! Whatever fails, and whatever a server says: no error, no `Debug` output and no line of any log has a secret in it.

use std::{
    fmt::Write as _,
    sync::{Arc, Mutex, PoisonError},
};

use sealstone_import::registry::{Credentials, NoProxy, Proxies, RegistryEndpoint, Secret};
use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
    span,
};

use crate::{
    kit::{Image, find, quick, read, reference, source_with},
    server::{Reply, Server},
};

/// In base64 as well: `alice:hunter2`.
const TRACES: [&str; 3] = ["hunter2", "YWxpY2U6aHVudGVyMg", "signed-by-us"];

/// Everything that is logged, as text.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<String>>);

impl Log {
    fn add(&self, text: &str) {
        let mut log = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        log.push_str(text);
        log.push('\n');
    }

    fn text(&self) -> String {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

struct Fields(String);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        write!(self.0, "{field}={value:?} ").unwrap();
    }
}

impl Subscriber for Log {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut fields = Fields(String::new());
        event.record(&mut fields);
        self.add(&fields.0);
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

/// What the HTTP client itself logs.
impl log::Log for Log {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        self.add(&format!("{} {}", record.target(), record.args()));
    }

    fn flush(&self) {}
}

/// Repeats whatever it is sent, in every place that ends up in messages.
fn parrot(status: u16) -> Server {
    Server::start(move |request| {
        let heard = format!("{request:?}").replace(['"', '\\'], "'");
        let mut sent = request.header("authorization").unwrap_or_default().to_owned();
        if sent.is_empty() {
            sent.clone_from(&request.body);
        }
        Reply::new(
            status,
            format!(
                r#"{{"errors":[{{"code":"HEARD","message":"{sent} {heard}"}}],"token":7,"heard":"{sent}"}}"#
            ),
        )
    })
}

fn credentials() -> [Credentials; 3] {
    [
        Credentials::user("alice", "hunter2"),
        Credentials::IdentityToken(Secret::new("hunter2")),
        Credentials::RegistryToken(Secret::new("hunter2")),
    ]
}

#[test]
fn no_error_and_no_log_has_a_secret_in_it() {
    let log = Log::default();
    log::set_boxed_logger(Box::new(log.clone())).unwrap();
    log::set_max_level(log::LevelFilter::Debug);
    let image = Image::new(1);
    let mut errors = String::new();
    tracing::subscriber::with_default(log.clone(), || {
        for status in [200, 400, 401, 403, 404, 429, 500] {
            for credentials in credentials() {
                let tokens = Arc::new(parrot(status));
                let basic = matches!(credentials, Credentials::User { .. });
                let realm = format!("http://{}/token", tokens.host());
                let server = image.serve(move |request, _| {
                    let heard = request.header("authorization").unwrap_or_default();
                    let body = format!(r#"{{"errors":[{{"code":"NO","message":"not with {heard}"}}]}}"#);
                    let scheme = if basic && status % 2 == 0 { "Basic" } else { "Bearer" };
                    Some(if heard.is_empty() {
                        Reply::new(401, body)
                            .header("WWW-Authenticate", format!(r#"{scheme} realm="{realm}""#))
                    } else {
                        Reply::new(status.max(400), body)
                    })
                });
                let source = source_with(&server, &quick(), Some(credentials.clone()));
                let error = find(&source).unwrap_err();
                write!(errors, "{error} {error:?} {source:?} {credentials:?}").unwrap();
            }
        }
        errors += &redirected();
    });
    let log = log.text();
    assert!(log.contains("trying again") && log.contains("ureq"), "the log is empty:\n{log}");
    for trace in TRACES {
        assert!(!errors.contains(trace), "{trace} in an error:\n{errors}");
        assert!(!log.contains(trace), "{trace} in the log");
    }
}

/// The errors of a redirect that is signed, to where nothing works.
fn redirected() -> String {
    let image = Image::new(2);
    let mut errors = String::new();
    for target in ["127.0.0.1:1", "[::1]:1", "u:hunter2@127.0.0.1:1"] {
        let server = image.serve(move |_, _| {
            Some(Reply::new(307, "").header("Location", format!("http://{target}/x?signature=signed-by-us")))
        });
        let error = read(&source_with(&server, &quick(), None), &image.layer_descriptor()).unwrap_err();
        write!(errors, "{error} {error:?}").unwrap();
    }
    errors
}

#[test]
fn settings_show_no_secret() {
    let mut settings = quick();
    settings.proxies =
        Proxies::new(Some("http://alice:hunter2@proxy.example"), None, NoProxy::default()).unwrap();
    for credentials in credentials() {
        let server = Server::start(|_| Reply::new(200, ""));
        let mut endpoint = RegistryEndpoint::of(&reference(&server));
        endpoint.credentials = Some(credentials);
        let shown = format!("{settings:?} {endpoint:?} {settings:#?} {endpoint:#?}");
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}
