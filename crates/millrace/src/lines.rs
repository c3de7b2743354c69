//! Lines of events, from a file or a pipe, read as they are needed: memory does not grow with them.
//!
//! A line ends with a line feed; a carriage return before it is white space to JSON. Blank lines
//! are passed over. For a file, a thread of its own reads ahead a few lines, so that a pipe that has
//! nothing to say yet holds up nobody.
//!
//! Not here: what a line means. The collector says that.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read as _};
use std::path::Path;

use tokio::sync::mpsc;

/// The longest line that is sent: the most that the collector takes as a body.
const LONGEST_LINE: usize = 10 * 1024 * 1024;
/// Lines that are read ahead.
const AHEAD: usize = 16;
/// Bytes that are read at once.
const BUFFER: usize = 64 * 1024;

/// A line that is not blank.
#[derive(Debug, PartialEq, Eq)]
pub enum Line {
    /// Its bytes, without the line end.
    Event(Vec<u8>),
    /// It is longer than any body that the collector takes.
    TooLong {
        /// Its place in the file, from 1.
        number: u64,
    },
}

/// An open file of events.
#[derive(Debug)]
pub struct EventFile {
    file: File,
    events: Option<u64>,
}

impl EventFile {
    /// Opens the file and counts its lines. A pipe can be read only once, so it is not counted.
    ///
    /// # Errors
    /// When it cannot be read, and when it is a folder.
    pub fn open(path: &Path) -> io::Result<EventFile> {
        let file = File::open(path)?;
        let kind = file.metadata()?.file_type();
        if kind.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        let events = if kind.is_file() { Some(count(File::open(path)?)?) } else { None };
        Ok(EventFile { file, events })
    }

    /// How many lines it has that are not blank, when that is known.
    #[must_use]
    pub fn events(&self) -> Option<u64> {
        self.events
    }

    /// Starts to read.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn read(self) -> io::Result<mpsc::Receiver<io::Result<Line>>> {
        let (lines, reading) = mpsc::channel(AHEAD);
        let mut reader = Lines::new(BufReader::with_capacity(BUFFER, self.file));
        std::thread::Builder::new().name("events".to_owned()).spawn(move || {
            while let Some(line) = reader.read_line().transpose() {
                let failed = line.is_err();
                if lines.blocking_send(line).is_err() || failed {
                    return;
                }
            }
        })?;
        Ok(reading)
    }
}

/// Lines that are not blank, in any length.
fn count(file: File) -> io::Result<u64> {
    let mut reader = BufReader::with_capacity(BUFFER, file);
    let (mut events, mut blank) = (0, true);
    loop {
        let bytes = reader.fill_buf()?;
        if bytes.is_empty() {
            return Ok(events + u64::from(!blank));
        }
        for byte in bytes {
            if *byte == b'\n' {
                events += u64::from(!blank);
                blank = true;
            } else {
                blank = blank && byte.is_ascii_whitespace();
            }
        }
        let read = bytes.len();
        reader.consume(read);
    }
}

/// The lines of whatever can be read.
#[derive(Debug)]
pub struct Lines<R> {
    reader: R,
    number: u64,
}

impl<R: BufRead> Lines<R> {
    /// The lines of this reader, from where it stands.
    pub fn new(reader: R) -> Lines<R> {
        Lines { reader, number: 0 }
    }

    /// The next line that is not blank; none at the end.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read_line(&mut self) -> io::Result<Option<Line>> {
        loop {
            let mut line = Vec::new();
            let most = LONGEST_LINE as u64 + 1;
            if self.reader.by_ref().take(most).read_until(b'\n', &mut line)? == 0 {
                return Ok(None);
            }
            self.number += 1;
            if line.len() > LONGEST_LINE && !line.ends_with(b"\n") {
                self.reader.skip_until(b'\n')?;
                return Ok(Some(Line::TooLong { number: self.number }));
            }
            let text = line.trim_ascii();
            if !text.is_empty() {
                return Ok(Some(Line::Event(text.to_vec())));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Vec<Line> {
        let mut lines = Lines::new(bytes);
        std::iter::from_fn(|| lines.read_line().expect("bytes in memory can be read")).collect()
    }

    fn event(text: &str) -> Line {
        Line::Event(text.as_bytes().to_vec())
    }

    #[test]
    fn line_ends_of_all_kinds_and_blank_lines() {
        for (text, expected) in [
            ("", vec![]),
            ("\n\r\n  \n", vec![]),
            ("{}", vec![event("{}")]),
            ("{}\r\n\r\n{broken\n \n[1]", vec![event("{}"), event("{broken"), event("[1]")]),
        ] {
            assert_eq!(read(text.as_bytes()), expected, "{text:?}");
            let file = tempfile::NamedTempFile::new().expect("a file");
            std::fs::write(file.path(), text).expect("it can be written");
            let counted = EventFile::open(file.path()).expect("it opens").events();
            assert_eq!(counted, Some(expected.len() as u64), "{text:?}");
        }
    }

    #[test]
    fn a_line_that_is_too_long_costs_itself_only() {
        let fits = vec![b'x'; LONGEST_LINE];
        let text = [&fits[..], b"x\n{}\n", &fits[..], b"\n", &fits[..], b"x"].concat();
        assert_eq!(
            read(&text),
            [
                Line::TooLong { number: 1 },
                event("{}"),
                Line::Event(fits),
                Line::TooLong { number: 4 }
            ]
        );
    }

    #[test]
    fn bytes_that_are_no_text_are_passed_on() {
        assert_eq!(read(b"\xff\n{}"), [Line::Event(vec![0xff]), event("{}")]);
    }

    #[test]
    fn a_folder_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let error = EventFile::open(folder.path()).expect_err("a folder has no lines");
        assert_eq!(error.kind(), io::ErrorKind::IsADirectory);
    }
}
