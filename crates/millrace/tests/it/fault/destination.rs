//! A destination that does what a script says: it takes rows like Mixpanel, or refuses, breaks off,
//! and answers half. It remembers every row that it has taken, in the order in which it did.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;

/// What happens to one request.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Reply {
    /// All rows are taken.
    Take,
    /// All rows are taken after a while.
    TakeSlowly,
    /// Nothing is taken, and this is the status.
    Status(u16),
    /// Nothing is taken, and the connection breaks.
    Reset,
    /// All rows are taken, and the connection breaks before the answer.
    TakeAndReset,
    /// All rows are taken, and the connection breaks in the middle of the answer.
    TakeAndHalf,
    /// Rows whose `n` is a multiple of this are refused by name, all others taken.
    Refuse(u64),
}

/// Decides by the number of the request.
type Script = dyn Fn(usize) -> Reply + Send + Sync;

/// The destination. It runs until the test process ends.
#[derive(Clone)]
pub(crate) struct Destination {
    address: String,
    seen: Arc<Mutex<Seen>>,
    script: Arc<Script>,
}

#[derive(Default)]
struct Seen {
    requests: usize,
    /// User, number and insert id of every row taken.
    taken: Vec<(String, u64, String)>,
}

impl Destination {
    /// Starts on a free port.
    pub(crate) fn start(script: impl Fn(usize) -> Reply + Send + Sync + 'static) -> Destination {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        Destination::on(listener, script)
    }

    pub(crate) fn on(
        listener: TcpListener,
        script: impl Fn(usize) -> Reply + Send + Sync + 'static,
    ) -> Destination {
        let address = format!("http://{}", listener.local_addr().expect("an address"));
        let destination = Destination { address, seen: Arc::default(), script: Arc::new(script) };
        let shared = destination.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let shared = shared.clone();
                std::thread::spawn(move || shared.serve(stream));
            }
        });
        destination
    }

    pub(crate) fn url(&self) -> &str {
        &self.address
    }

    pub(crate) fn requests(&self) -> usize {
        self.seen.lock().unwrap().requests
    }

    /// User, number and insert id of every row taken so far, in order.
    pub(crate) fn taken(&self) -> Vec<(String, u64, String)> {
        self.seen.lock().unwrap().taken.clone()
    }

    /// Answers the requests of one connection; any error ends it.
    fn serve(&self, stream: TcpStream) {
        let mut stream = BufReader::new(stream);
        while let Ok(body) = read_request(&mut stream) {
            let rows: Vec<Value> = serde_json::from_slice(&body).expect("rows");
            if self.answer(stream.get_mut(), &rows).is_err() {
                return;
            }
        }
    }

    fn answer(&self, stream: &mut TcpStream, rows: &[Value]) -> io::Result<()> {
        let broken = || io::Error::from(io::ErrorKind::ConnectionReset);
        let number = {
            let mut seen = self.seen.lock().unwrap();
            seen.requests += 1;
            seen.requests - 1
        };
        match (self.script)(number) {
            Reply::Take => {
                let answer = self.take(rows, |_| true);
                write_answer(stream, answer.0, &answer.1)
            }
            Reply::TakeSlowly => {
                // A slow destination is slow by the clock: there is nothing here to wait on.
                std::thread::sleep(Duration::from_millis(300));
                let answer = self.take(rows, |_| true);
                write_answer(stream, answer.0, &answer.1)
            }
            Reply::Status(status) => {
                let body = format!(r#"{{"code":{status},"error":"no","status":"No"}}"#);
                write_answer(stream, status, &body)
            }
            Reply::Reset => Err(broken()),
            Reply::TakeAndReset => {
                self.take(rows, |_| true);
                Err(broken())
            }
            Reply::TakeAndHalf => {
                let (_, body) = self.take(rows, |_| true);
                let half = body.get(..body.len() / 2).unwrap_or_default();
                let length = body.len();
                write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{half}")?;
                Err(broken())
            }
            Reply::Refuse(every) => {
                let answer = self.take(rows, |n| n % every != 0);
                write_answer(stream, answer.0, &answer.1)
            }
        }
    }

    /// Takes rows as a strict import does; status and body of the answer.
    fn take(&self, rows: &[Value], good: impl Fn(u64) -> bool) -> (u16, String) {
        let mut seen = self.seen.lock().unwrap();
        let (mut taken, mut failed) = (0, Vec::new());
        for (index, row) in rows.iter().enumerate() {
            let text = |path: &str| row.pointer(path).and_then(Value::as_str).unwrap_or_default();
            let number = row.pointer("/properties/n").and_then(Value::as_u64);
            // The probe is a record without a name.
            match number.filter(|number| !text("/event").is_empty() && good(*number)) {
                Some(number) => {
                    taken += 1;
                    let (user, insert_id) =
                        (text("/properties/distinct_id"), text("/properties/$insert_id"));
                    seen.taken.push((user.to_owned(), number, insert_id.to_owned()));
                }
                None => failed.push(format!(
                    r#"{{"index":{index},"insert_id":"{}","field":"event","message":"bad"}}"#,
                    text("/properties/$insert_id")
                )),
            }
        }
        if failed.is_empty() {
            let body = format!(r#"{{"code":200,"num_records_imported":{taken},"status":"OK"}}"#);
            return (200, body);
        }
        let body = format!(
            r#"{{"code":400,"error":"some data points in the request failed validation","failed_records":[{}],"num_records_imported":{taken},"status":"Bad Request"}}"#,
            failed.join(",")
        );
        (400, body)
    }
}

fn read_request(stream: &mut BufReader<TcpStream>) -> io::Result<Vec<u8>> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        match line.trim_end().split_once(':') {
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                length = value.trim().parse().expect("a length");
            }
            None if line.trim_end().is_empty() => break,
            _ => {}
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    Ok(body)
}

fn write_answer(stream: &mut TcpStream, status: u16, body: &str) -> io::Result<()> {
    let length = body.len();
    write!(stream, "HTTP/1.1 {status} x\r\nContent-Length: {length}\r\n\r\n{body}")
}
