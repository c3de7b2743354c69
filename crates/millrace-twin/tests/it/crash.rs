//! A real process, killed while it is written to: what it had answered is there afterwards.

use std::collections::HashSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};

use millrace_model::entropy::SeededEntropy;
use millrace_model::time::{ManualClock, UnixMillis};
use millrace_twin::TwinServer;

use crate::client::{Client, NOW, basic, options};

/// Names the folder that the child serves; without it the child's test does nothing.
const FOLDER: &str = "MILLRACE_TWIN_TEST_FOLDER";
const READY: &str = "twin listens on ";

/// The child's side: serves until it is killed.
#[test]
fn the_process_to_be_killed() {
    let Ok(folder) = std::env::var(FOLDER) else { return };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let clock = Arc::new(ManualClock::at(UnixMillis(NOW)));
    let entropy = Arc::new(SeededEntropy::new(1));
    let server =
        TwinServer::start(options(Some(Path::new(&folder))), listener, clock, entropy).unwrap();
    println!("\n{READY}{}", server.addr());
    // Ends when the parent does, should it not come to killing this process.
    let _parent_gone = std::io::stdin().read_to_end(&mut Vec::new());
}

fn spawn(folder: &Path) -> (Child, SocketAddr) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "crash::the_process_to_be_killed", "--nocapture"])
        .env(FOLDER, folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let address = lines
        .map_while(Result::ok)
        .find_map(|line| line.strip_prefix(READY).map(|address| address.parse().unwrap()))
        .unwrap();
    (child, address)
}

/// Sends batches of three events one after the other and reports each that was answered, until the
/// connection breaks.
fn send(address: SocketAddr, sender: usize, answered: &Sender<String>) {
    let mut stream = TcpStream::connect(address).unwrap();
    for number in 0.. {
        let ids: Vec<String> = (0..3).map(|n| format!("{sender}-{number}-{n}")).collect();
        let events: Vec<String> = ids
            .iter()
            .map(|id| {
                format!(
                    "{{\"event\":\"E\",\"properties\":{{\"time\":{NOW},\"distinct_id\":\"u\",\
                     \"$insert_id\":\"{id}\"}}}}"
                )
            })
            .collect();
        let body = format!("[{}]", events.join(","));
        let request = format!(
            "POST /import?strict=1 HTTP/1.1\r\nhost: x\r\nauthorization: {}\r\n\
             content-length: {}\r\n\r\n{body}",
            basic("T", ""),
            body.len()
        );
        let mut answer = [0; 2_048];
        let read = stream.write_all(request.as_bytes()).and_then(|()| stream.read(&mut answer));
        match read {
            Ok(length) if String::from_utf8_lossy(&answer[..length]).contains("\"OK\"") => {
                for id in ids {
                    answered.send(id).unwrap();
                }
            }
            Ok(_) | Err(_) => return,
        }
    }
}

#[test]
fn kill_9_loses_nothing_that_was_answered() {
    let folder = tempfile::tempdir().unwrap();
    let mut answered: HashSet<String> = HashSet::new();
    for round in 0..3 {
        let (mut child, address) = spawn(folder.path());
        let (report, reports) = channel();
        let senders: Vec<_> = (0..3)
            .map(|sender| {
                let report = report.clone();
                std::thread::spawn(move || send(address, round * 10 + sender, &report))
            })
            .collect();
        drop(report);
        answered.extend(reports.iter().take(60 + round * 25));
        child.kill().unwrap();
        child.wait().unwrap();
        for sender in senders {
            sender.join().unwrap();
        }
        answered.extend(reports.iter());
    }
    assert!(answered.len() >= 60 + 85 + 110, "{} answers", answered.len());
    let client = Client::open(options(Some(folder.path()))).unwrap();
    let stored: Vec<String> = client
        .export("")
        .iter()
        .map(|line| line["properties"]["$insert_id"].as_str().unwrap().to_owned())
        .collect();
    let distinct: HashSet<String> = stored.iter().cloned().collect();
    let lost: Vec<&String> = answered.difference(&distinct).collect();
    assert!(lost.is_empty(), "answered and lost: {lost:?}");
    assert_eq!(stored.len(), distinct.len(), "nobody sent anything twice");
    // A batch is there as a whole or not at all.
    assert_eq!(stored.len() % 3, 0);
}
