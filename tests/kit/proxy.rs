//! A proxy that connects through (`CONNECT`), for one user, and leads every host to this machine.

use std::io::{BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use super::http::{base64, read_head};

/// Who may use it.
pub const USER: &str = "proxy-user";
pub const SECRET: &str = "proxy-s3cret";

/// A proxy, as long as the process lives.
pub struct Proxy {
    pub port: u16,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let proxy = Self { port, asked: Arc::default() };
        let asked = Arc::clone(&proxy.asked);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let asked = Arc::clone(&asked);
                thread::spawn(move || serve(stream, &asked));
            }
        });
        proxy
    }

    /// Its URL, with this password.
    pub fn url(&self, secret: &str) -> String {
        format!("http://{USER}:{secret}@127.0.0.1:{}", self.port)
    }

    /// What it was asked to connect to, by those it let through.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("not poisoned").clone()
    }
}

fn serve(mut stream: TcpStream, asked: &Mutex<Vec<String>>) {
    let mut reader = BufReader::new(stream.try_clone().expect("a copy"));
    let Some(head) = read_head(&mut reader) else { return };
    let wanted = format!("Basic {}", base64(format!("{USER}:{SECRET}").as_bytes(), false));
    if head.method != "CONNECT" || head.headers.get("proxy-authorization") != Some(&wanted) {
        let _ = stream
            .write_all(b"HTTP/1.1 407 Who\r\nProxy-Authenticate: Basic realm=x\r\nContent-Length: 0\r\n\r\n");
        return;
    }
    asked.lock().expect("not poisoned").push(head.target.clone());
    let port: u16 = head.target.rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port");
    let Ok(mut server) = TcpStream::connect(("127.0.0.1", port)) else { return };
    let _ = stream.write_all(b"HTTP/1.1 200 Connected\r\n\r\n");
    let (mut up, mut down) = (server.try_clone().expect("a copy"), stream);
    thread::spawn(move || {
        let _ = std::io::copy(&mut reader, &mut up);
        let _ = up.shutdown(std::net::Shutdown::Write);
    });
    let _ = std::io::copy(&mut server, &mut down);
    let _ = down.shutdown(std::net::Shutdown::Write);
}
