//! HTTP by hand: requests for a server to read, answers to write, and pushes to a registry without our client or skopeo.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

pub use super::layout::digest as sha256;

/// A request's first line and headers; names in lower case.
pub struct Head {
    pub method: String,
    pub target: String,
    pub headers: HashMap<String, String>,
}

/// Reads a request up to its body; `None` when nothing more comes.
pub fn read_head(reader: &mut impl BufRead) -> Option<Head> {
    let mut first = String::new();
    reader.read_line(&mut first).ok().filter(|count| *count > 0)?;
    let mut words = first.split_whitespace().map(str::to_owned);
    let (method, target) = (words.next()?, words.next()?);
    let mut headers = HashMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        headers.insert(name.to_ascii_lowercase(), value.to_owned());
    }
    Some(Head { method, target, headers })
}

/// Asks `host`; gives the status, the headers and the body.
pub fn ask(host: &str, method: &str, path: &str, kind: &str, body: &[u8]) -> (u16, Head, Vec<u8>) {
    let mut stream = TcpStream::connect(host).expect("it listens");
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: {host}\r\nAccept: */*\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n",
        body.len()
    )
    .expect("a request");
    stream.write_all(body).expect("a body");
    let mut reader = BufReader::new(stream);
    // An answer's first line has its status where a request has its target.
    let head = read_head(&mut reader).expect("an answer");
    let mut answer = Vec::new();
    reader.read_to_end(&mut answer).expect("a body");
    (head.target.parse().expect("a status"), head, answer)
}

/// Pushes a blob to a registry that wants no credentials; gives its digest.
pub fn push_blob(host: &str, repository: &str, bytes: &[u8]) -> String {
    let digest = sha256(bytes);
    let (status, head, _) = ask(host, "POST", &format!("/v2/{repository}/blobs/uploads/"), "text/plain", b"");
    assert_eq!(status, 202);
    let place = head.headers["location"].replace(&format!("http://{host}"), "");
    let sign = if place.contains('?') { '&' } else { '?' };
    let place = format!("{place}{sign}digest={digest}");
    let (status, _, answer) = ask(host, "PUT", &place, "application/octet-stream", bytes);
    assert_eq!(status, 201, "{}", String::from_utf8_lossy(&answer));
    digest
}

/// Pushes a manifest or index under a tag or digest; gives its digest.
pub fn push_manifest(host: &str, repository: &str, name: &str, kind: &str, bytes: &[u8]) -> String {
    let path = format!("/v2/{repository}/manifests/{name}");
    let (status, _, answer) = ask(host, "PUT", &path, kind, bytes);
    assert_eq!(status, 201, "{}", String::from_utf8_lossy(&answer));
    sha256(bytes)
}

/// Base64, of the alphabet with `+/` and padding, or with `-_` and none.
pub fn base64(bytes: &[u8], is_url: bool) -> String {
    let signs: &[u8; 2] = if is_url { b"-_" } else { b"+/" };
    let digits: Vec<u8> =
        (b'A'..=b'Z').chain(b'a'..=b'z').chain(b'0'..=b'9').chain(signs.iter().copied()).collect();
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let word = chunk.iter().chain(&[0, 0]).take(3).fold(0, |word, byte| word << 8 | usize::from(*byte));
        for place in 0..4 {
            if place <= chunk.len() {
                text.push(char::from(digits[word >> (18 - 6 * place) & 63]));
            } else if !is_url {
                text.push('=');
            }
        }
    }
    text
}

/// The bytes of the first block of a PEM file.
pub fn pem(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text
        .lines()
        .skip_while(|line| !line.starts_with("-----BEGIN"))
        .skip(1)
        .take_while(|line| !line.starts_with("-----END"))
        .flat_map(str::bytes)
        .filter(|byte| *byte != b'=')
        .collect();
    let value = |byte: u8| match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        _ => 63,
    };
    let mut bytes = Vec::new();
    for chunk in digits.chunks(4) {
        let word = chunk.iter().fold(0_u32, |word, byte| word << 6 | u32::from(value(*byte)));
        let word = word << (6 * (4 - chunk.len()));
        bytes.extend(&word.to_be_bytes()[1..chunk.len()]);
    }
    bytes
}
