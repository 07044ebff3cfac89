//! A token server (distribution's token authentication): signs tokens that `docker-registry` believes, by a key whose
//! certificate comes along (`x5c`) and is of the authority in `certs/ca.crt`.

use std::fs;
use std::io::{BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use serde_json::{Value, json};

use super::http::{base64, pem, read_head};
use super::registry::{ISSUER, PASSWORD, SERVICE};

/// Repositories from which anybody may pull.
pub const PUBLIC: &str = "public/";

/// A token server, as long as the process lives. It reads its key when it is first asked.
pub struct TokenServer {
    pub port: u16,
    asked: Arc<Mutex<Vec<String>>>,
}

impl TokenServer {
    /// One whose tokens are good for `seconds`.
    pub fn start(certificates: &Path, seconds: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let server = Self { port, asked: Arc::default() };
        let (asked, folder) = (Arc::clone(&server.asked), certificates.to_owned());
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (asked, folder) = (Arc::clone(&asked), folder.clone());
                thread::spawn(move || serve(stream, &asked, &folder, seconds));
            }
        });
        server
    }

    /// The targets that it was asked for, each with the user's name.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("not poisoned").clone()
    }
}

fn serve(mut stream: TcpStream, asked: &Mutex<Vec<String>>, folder: &Path, seconds: u64) {
    let mut reader = BufReader::new(stream.try_clone().expect("a copy"));
    while let Some(head) = read_head(&mut reader) {
        let known = format!("Basic {}", base64(format!("alice:{PASSWORD}").as_bytes(), false));
        let given = head.headers.get("authorization");
        let is_alice = given == Some(&known);
        asked.lock().expect("not poisoned").push(format!(
            "{} {}",
            if is_alice { "alice" } else { "-" },
            head.target
        ));
        let (status, body) = if given.is_some() && !is_alice {
            (401, json!({"errors": [{"code": "UNAUTHORIZED", "message": "who?"}]}))
        } else {
            (200, json!({"token": token(&head.target, is_alice, folder, seconds), "expires_in": seconds}))
        };
        let body = body.to_string();
        let answer = format!("HTTP/1.1 {status} Status\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        if stream.write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

/// A signed token for what the query asks, as far as it is allowed.
fn token(target: &str, is_alice: bool, folder: &Path, seconds: u64) -> String {
    let scopes = target.split(['?', '&']).filter_map(|part| part.strip_prefix("scope="));
    let scopes = scopes.map(|scope| scope.replace("%3A", ":").replace("%2F", "/").replace("%2C", ","));
    let access: Vec<Value> = scopes
        .filter_map(|scope| {
            let mut parts = scope.splitn(3, ':').map(str::to_owned);
            let (kind, name, actions) = (parts.next()?, parts.next()?, parts.next()?);
            let is_public = name.starts_with(PUBLIC);
            let allowed = |action: &&str| is_alice || (is_public && *action == "pull");
            let actions: Vec<_> = actions.split(',').filter(allowed).collect();
            Some(json!({"type": kind, "name": name, "actions": actions}))
        })
        .collect();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    let certificate = pem(&fs::read_to_string(folder.join("server.pem")).expect("a certificate"));
    let header = json!({"typ": "JWT", "alg": "ES256", "x5c": [base64(&certificate, false)]});
    let claims = json!({
        "iss": ISSUER, "aud": SERVICE, "sub": if is_alice { "alice" } else { "" }, "jti": "1",
        "iat": now, "nbf": now - 10, "exp": now + seconds, "access": access,
    });
    let part = |value: &Value| base64(value.to_string().as_bytes(), true);
    let signed = format!("{}.{}", part(&header), part(&claims));
    let random = SystemRandom::new();
    let key = pem(&fs::read_to_string(folder.join("server.secret")).expect("a key"));
    let key =
        EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &key, &random).expect("a key on P-256");
    let signature = key.sign(&random, signed.as_bytes()).expect("a signature");
    format!("{signed}.{}", base64(signature.as_ref(), true))
}
