//! A server of HTTP/1.1 that answers what a closure says, byte for byte, and keeps what it was asked.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

/// A request, as it came.
#[derive(Clone, Debug, Default)]
pub struct Request {
    pub method: String,
    /// With the query.
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: String,
    /// The same as it came.
    pub bytes: Vec<u8>,
    /// The connection broke within the body, of which this is the beginning.
    pub is_cut: bool,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }
}

/// What to answer.
#[derive(Clone, Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    way: Way,
}

/// How the body goes out.
#[derive(Clone, Debug)]
enum Way {
    Whole,
    /// That many bytes, then the connection breaks.
    Cut(usize),
    /// One byte at a time.
    Drip(Duration),
    /// In chunks, without a length; then more and more of it.
    Endless,
    /// In chunks, without the last one.
    Unfinished,
    /// Nothing for a long time.
    Silence,
}

impl Reply {
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, headers: Vec::new(), body: body.into(), way: Way::Whole }
    }

    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    pub fn cut_at(mut self, bytes: usize) -> Self {
        self.way = Way::Cut(bytes);
        self
    }

    pub fn drip(mut self, pause: Duration) -> Self {
        self.way = Way::Drip(pause);
        self
    }

    pub fn endless(mut self) -> Self {
        self.way = Way::Endless;
        self
    }

    pub fn unfinished(mut self) -> Self {
        self.way = Way::Unfinished;
        self
    }

    pub fn silent(mut self) -> Self {
        self.way = Way::Silence;
        self
    }

    /// Whether the connection can be used again.
    fn send(&self, stream: &mut TcpStream, is_head: bool) -> std::io::Result<bool> {
        let mut head = format!("HTTP/1.1 {} Status\r\n", self.status);
        for (name, value) in &self.headers {
            head.extend([name, ": ", value, "\r\n"]);
        }
        let is_chunked = matches!(self.way, Way::Endless | Way::Unfinished);
        let has_length = self.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-length"));
        if is_chunked {
            head += "Transfer-Encoding: chunked\r\n";
        } else if !has_length {
            head.extend(["Content-Length: ", &self.body.len().to_string(), "\r\n"]);
        }
        stream.write_all(head.as_bytes())?;
        stream.write_all(b"\r\n")?;
        if is_head {
            return Ok(true);
        }
        match self.way {
            Way::Whole => {
                stream.write_all(&self.body)?;
                return Ok(!has_length);
            }
            Way::Cut(bytes) => stream.write_all(&self.body[..bytes])?,
            Way::Drip(pause) => {
                for byte in &self.body {
                    stream.write_all(&[*byte])?;
                    thread::sleep(pause);
                }
            }
            Way::Unfinished => chunk(stream, &self.body)?,
            Way::Endless => {
                chunk(stream, &self.body)?;
                loop {
                    chunk(stream, &[0; 4096])?;
                }
            }
            Way::Silence => {
                // Until whoever waits hangs up.
                let _ = stream.read(&mut [0]);
            }
        }
        Ok(false)
    }
}

fn chunk(stream: &mut TcpStream, bytes: &[u8]) -> std::io::Result<()> {
    write!(stream, "{:x}\r\n", bytes.len())?;
    stream.write_all(bytes)?;
    stream.write_all(b"\r\n")
}

type Handler = dyn Fn(&Request) -> Reply + Send + Sync;

/// Whether to break the connection within a request's body: after so many bytes.
type Cuts = dyn Fn(&Request) -> Option<usize> + Send + Sync;

/// A server on a port of its own, as long as the process lives.
pub struct Server {
    pub port: u16,
    requests: Arc<Mutex<Vec<Request>>>,
    connections: Arc<AtomicUsize>,
}

impl Server {
    pub fn start(handler: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        Self::start_cutting(handler, |_| None)
    }

    /// The same, and `cuts` is asked about each request before its body is read.
    pub fn start_cutting(
        handler: impl Fn(&Request) -> Reply + Send + Sync + 'static,
        cuts: impl Fn(&Request) -> Option<usize> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = Self { port, requests: Arc::default(), connections: Arc::default() };
        let (requests, connections) = (Arc::clone(&server.requests), Arc::clone(&server.connections));
        let handler: Arc<Handler> = Arc::new(handler);
        let cuts: Arc<Cuts> = Arc::new(cuts);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (requests, connections) = (Arc::clone(&requests), Arc::clone(&connections));
                let (handler, cuts) = (Arc::clone(&handler), Arc::clone(&cuts));
                thread::spawn(move || {
                    let _ = serve(stream, &requests, &connections, &*handler, &*cuts);
                });
            }
        });
        server
    }

    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// What was asked, without the knocks that find out whether there is TLS.
    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().iter().filter(|request| request.path != "/v2/").cloned().collect()
    }

    /// What was asked, all of it.
    pub fn all_requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    /// The requests whose path has this in it.
    pub fn requests_of(&self, part: &str) -> Vec<Request> {
        self.requests().into_iter().filter(|request| request.path.contains(part)).collect()
    }

    /// How many connections were made that spoke HTTP.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

fn serve(
    mut stream: TcpStream,
    requests: &Mutex<Vec<Request>>,
    connections: &AtomicUsize,
    handler: &Handler,
    cuts: &Cuts,
) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream.try_clone()?);
    // A greeting of TLS.
    if reader.fill_buf()?.first() == Some(&0x16) {
        return Ok(());
    }
    connections.fetch_add(1, Ordering::SeqCst);
    while let Some(request) = read_request(&mut reader, cuts)? {
        requests.lock().unwrap().push(request.clone());
        let reply = if request.path == "/v2/" { Reply::new(200, "{}") } else { handler(&request) };
        if request.is_cut {
            break;
        }
        if !reply.send(&mut stream, request.method == "HEAD")? {
            break;
        }
    }
    Ok(())
}

fn read_request(reader: &mut BufReader<TcpStream>, cuts: &Cuts) -> std::io::Result<Option<Request>> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.split_whitespace().map(str::to_owned);
    let mut request = Request {
        method: words.next().unwrap_or_default(),
        path: words.next().unwrap_or_default(),
        ..Request::default()
    };
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        request.headers.push((name.to_owned(), value.to_owned()));
    }
    let length = request.header("content-length").map_or(0, |length| length.parse().unwrap());
    let cut = cuts(&request).filter(|cut| *cut < length);
    let mut body = vec![0; cut.unwrap_or(length)];
    reader.read_exact(&mut body)?;
    request.is_cut = cut.is_some();
    request.body = String::from_utf8_lossy(&body).into_owned();
    request.bytes = body;
    Ok(Some(request))
}
