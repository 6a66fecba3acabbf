//! An HTTP server that does what the test says, however wrong.

use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};

use cairn::canon::Reference;

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Request {
    pub method: String,
    pub path: String,
    headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Request {
    /// The first header of that lower-case name.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(other, _)| other == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// What is sent back, after which the connection is closed.
pub struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    /// Bytes of the body that are really sent.
    cut: usize,
    /// The length is announced.
    has_length: bool,
    /// The body is sent again and again.
    is_endless: bool,
}

impl Reply {
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Reply {
        Reply {
            status,
            headers: Vec::new(),
            body: body.into(),
            cut: usize::MAX,
            has_length: true,
            is_endless: false,
        }
    }

    pub fn with(mut self, name: &str, value: impl ToString) -> Reply {
        self.headers.push((name.to_owned(), value.to_string()));
        self
    }

    /// Sends only so much of the body.
    pub fn cut(mut self, bytes: usize) -> Reply {
        self.cut = bytes;
        self
    }

    /// Doesn't say how long the body is.
    pub fn without_length(mut self) -> Reply {
        self.has_length = false;
        self
    }

    /// Never stops.
    pub fn endless(mut self) -> Reply {
        self.is_endless = true;
        self.without_length()
    }
}

/// The server; its thread ends with the program.
pub struct Rude {
    pub address: SocketAddr,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Rude {
    /// Answers by `answer`, which is told the request and how many of its method and path came
    /// before it.
    pub fn new(answer: impl Fn(&Request, usize) -> Reply + Send + Sync + 'static) -> Rude {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (kept, answer) = (requests.clone(), Arc::new(answer));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (kept, answer) = (kept.clone(), answer.clone());
                // A client that hangs up early is what some of these tests are about.
                std::thread::spawn(move || serve(stream, &kept, &*answer));
            }
        });
        Rude { address, requests }
    }

    pub fn reference(&self, rest: &str) -> Reference {
        format!("{}/{rest}", self.address).parse().unwrap()
    }

    /// The requests of that method whose path contains `part`.
    pub fn seen(&self, method: &str, part: &str) -> Vec<Request> {
        let requests = self.requests.lock().unwrap();
        let is_meant = |request: &&Request| request.method == method && request.path.contains(part);
        requests.iter().filter(is_meant).cloned().collect()
    }
}

/// One request of a connection, which is kept, and its answer.
pub fn serve(
    mut stream: impl Read + Write,
    kept: &Mutex<Vec<Request>>,
    answer: &(dyn Fn(&Request, usize) -> Reply + Send + Sync),
) -> Option<()> {
    let request = read(&mut stream)?;
    let count = {
        let mut kept = kept.lock().unwrap();
        let before = kept
            .iter()
            .filter(|other| (&other.method, &other.path) == (&request.method, &request.path));
        let count = before.count();
        kept.push(request.clone());
        count
    };
    let reply = answer(&request, count);
    let mut head = format!("HTTP/1.1 {} x\r\nConnection: close\r\n", reply.status);
    for (name, value) in &reply.headers {
        head += &format!("{name}: {value}\r\n");
    }
    if reply.has_length {
        head += &format!("Content-Length: {}\r\n", reply.body.len());
    }
    stream.write_all((head + "\r\n").as_bytes()).ok()?;
    if request.method != "HEAD" {
        let length = reply.body.len().min(reply.cut);
        stream.write_all(&reply.body[..length]).ok()?;
        if reply.is_endless {
            while stream.write_all(&reply.body).is_ok() {}
        }
    }
    Some(())
}

/// None for what is no request, as a TLS hello isn't.
fn read(stream: &mut impl Read) -> Option<Request> {
    let mut reader = BufReader::new(stream);
    let mut first = [0];
    reader.read_exact(&mut first).ok()?;
    if !first[0].is_ascii_uppercase() {
        return None;
    }
    let mut line = String::from(char::from(first[0]));
    reader.read_line(&mut line).ok()?;
    let mut words = line.split(' ');
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else {
            break;
        };
        headers.push((name.to_ascii_lowercase(), value.to_owned()));
    }
    let mut request = Request {
        method,
        path,
        headers,
        body: Vec::new(),
    };
    let length = request
        .header("content-length")
        .unwrap_or("0")
        .parse()
        .ok()?;
    request.body = vec![0; length];
    reader.read_exact(&mut request.body).ok()?;
    Some(request)
}
