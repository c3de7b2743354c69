//! A disk in memory that does to a log what real disks may do.
//!
//! It keeps two pictures of the folder: what a running process sees, and what a crash leaves. The
//! second one changes only by a sync, or at the crash itself, when each write that was not synced
//! is kept, lost or torn into 512-byte sectors, each on its own and in any order, and each name
//! that was not synced is there or not. Everything is drawn from a seed.
//!
//! It also fails on demand: no space, a failing write, read, sync or folder sync. A failed sync of
//! a file behaves as Linux does: the bytes stay visible, and no later sync makes them durable
//! unless they are written again.
//!
//! Every [`SimDisk`] is a handle on the same folder. After [`SimDisk::crash`] the files and handles
//! that were in use before fail every call, as those of a dead process.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use millrace_log::{Disk, DiskFile};
use millrace_model::entropy::{Entropy, SeededEntropy};

const SECTOR: usize = 512;

/// A call that can be made to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// `write_at` writes a part and fails with an error that is not about space.
    Write,
    /// `read_at` fails.
    Read,
    /// `sync` of a file fails.
    Sync,
    /// `sync_dir` fails.
    SyncDir,
}

/// A change of a file that was not synced.
#[derive(Clone, Debug)]
enum Change {
    Write { offset: usize, bytes: Vec<u8> },
    SetLen(usize),
}

/// A change of the names that was not synced.
#[derive(Clone, Debug)]
enum NameChange {
    Link(String, usize),
    Unlink(String),
}

#[derive(Debug, Default)]
struct Content {
    /// What a process sees.
    seen: Vec<u8>,
    /// What is on the platter.
    durable: Vec<u8>,
    /// What happened since the last sync.
    pending: Vec<Change>,
}

#[derive(Debug)]
struct State {
    files: Vec<Content>,
    names: BTreeMap<String, usize>,
    durable_names: BTreeMap<String, usize>,
    pending_names: Vec<NameChange>,
    /// Counts crashes; what was opened before is dead.
    generation: u64,
    locked: bool,
    capacity: u64,
    faults: BTreeMap<Fault, u32>,
    entropy: SeededEntropy,
}

/// A handle on the simulated folder.
#[derive(Debug)]
pub struct SimDisk {
    state: Arc<Mutex<State>>,
    generation: u64,
    has_lock: bool,
}

/// An open file of a [`SimDisk`].
#[derive(Debug)]
pub struct SimFile {
    state: Arc<Mutex<State>>,
    generation: u64,
    file: usize,
}

fn hold(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn dead() -> io::Error {
    io::Error::other("the process that had this open is dead")
}

fn apply(content: &mut Vec<u8>, change: &Change) {
    match change {
        Change::Write { offset, bytes } => {
            let end = offset + bytes.len();
            if content.len() < end {
                content.resize(end, 0);
            }
            if let Some(place) = content.get_mut(*offset..end) {
                place.copy_from_slice(bytes);
            }
        }
        Change::SetLen(length) => content.resize(*length, 0),
    }
}

impl SimDisk {
    /// An empty folder with any amount of space.
    #[must_use]
    pub fn new(seed: u64) -> SimDisk {
        let state = State {
            files: Vec::new(),
            names: BTreeMap::new(),
            durable_names: BTreeMap::new(),
            pending_names: Vec::new(),
            generation: 0,
            locked: false,
            capacity: u64::MAX,
            faults: BTreeMap::new(),
            entropy: SeededEntropy::new(seed),
        };
        SimDisk { state: Arc::new(Mutex::new(state)), generation: 0, has_lock: false }
    }

    /// Another handle on the same folder, as another process would have it.
    #[must_use]
    pub fn handle(&self) -> SimDisk {
        let generation = hold(&self.state).generation;
        SimDisk { state: Arc::clone(&self.state), generation, has_lock: false }
    }

    /// The power goes: what was not synced is kept, lost or torn by chance.
    pub fn crash(&self) {
        let mut guard = hold(&self.state);
        let state = &mut *guard;
        state.generation += 1;
        state.locked = false;
        state.faults.clear();
        for file in &mut state.files {
            for change in std::mem::take(&mut file.pending) {
                tear(&mut file.durable, &change, &state.entropy);
            }
            file.seen.clone_from(&file.durable);
        }
        for change in std::mem::take(&mut state.pending_names) {
            if state.entropy.below(2) == 0 {
                rename(&mut state.durable_names, change);
            }
        }
        state.names.clone_from(&state.durable_names);
    }

    /// The process dies, the system lives: nothing is lost, nothing becomes durable.
    pub fn kill(&self) {
        let mut state = hold(&self.state);
        state.generation += 1;
        state.locked = false;
        state.faults.clear();
    }

    /// The number of bytes that all files together may have; `u64::MAX` for no limit.
    pub fn set_capacity(&self, bytes: u64) {
        hold(&self.state).capacity = bytes;
    }

    /// The bytes of all files together.
    #[must_use]
    pub fn used_bytes(&self) -> u64 {
        hold(&self.state).used()
    }

    /// Lets the call fail once, after it has worked `after` more times.
    pub fn fail(&self, fault: Fault, after: u32) {
        hold(&self.state).faults.insert(fault, after);
    }

    /// Takes back what [`SimDisk::fail`] ordered.
    pub fn clear_faults(&self) {
        hold(&self.state).faults.clear();
    }

    /// The names and lengths of all files, in order.
    #[must_use]
    pub fn files(&self) -> Vec<(String, u64)> {
        let state = hold(&self.state);
        let length = |file: usize| state.files.get(file).map_or(0, |file| file.seen.len() as u64);
        state.names.iter().map(|(name, file)| (name.clone(), length(*file))).collect()
    }

    /// Flips some bits of one byte of a file, on the platter and in sight; false when there is no
    /// such byte.
    pub fn corrupt(&self, name: &str, offset: u64, mask: u8) -> bool {
        let mut state = hold(&self.state);
        let Some(file) = state.names.get(name).copied() else { return false };
        let Some(content) = state.files.get_mut(file) else { return false };
        let at = usize::try_from(offset).unwrap_or(usize::MAX);
        let mut flipped = false;
        for bytes in [&mut content.seen, &mut content.durable] {
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= mask;
                flipped = true;
            }
        }
        flipped
    }

    /// Cuts a file short, on the platter and in sight.
    pub fn cut(&self, name: &str, length: u64) {
        let mut state = hold(&self.state);
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if let Some(file) = state.names.get(name).copied()
            && let Some(content) = state.files.get_mut(file)
        {
            content.seen.truncate(length);
            content.durable.truncate(length);
        }
    }

    fn alive(&self) -> io::Result<MutexGuard<'_, State>> {
        let state = hold(&self.state);
        if state.generation == self.generation { Ok(state) } else { Err(dead()) }
    }
}

/// Does to the platter what a crash may make of one change.
fn tear(durable: &mut Vec<u8>, change: &Change, entropy: &SeededEntropy) {
    match (entropy.below(3), change) {
        (0, _) => {}
        (1, _) | (_, Change::SetLen(_)) => apply(durable, change),
        (_, Change::Write { offset, bytes }) => {
            let mut start = 0;
            while start < bytes.len() {
                // Sectors are cut where the disk has them, not where the write began.
                let length = (SECTOR - (offset + start) % SECTOR).min(bytes.len() - start);
                let piece = bytes.get(start..start + length).unwrap_or_default().to_vec();
                if entropy.below(2) == 0 {
                    apply(durable, &Change::Write { offset: offset + start, bytes: piece });
                }
                start += length;
            }
        }
    }
}

fn rename(names: &mut BTreeMap<String, usize>, change: NameChange) {
    match change {
        NameChange::Link(name, file) => {
            names.insert(name, file);
        }
        NameChange::Unlink(name) => {
            names.remove(&name);
        }
    }
}

impl State {
    fn used(&self) -> u64 {
        self.names
            .values()
            .filter_map(|file| self.files.get(*file))
            .map(|file| file.seen.len() as u64)
            .sum()
    }

    /// True when this call is to fail now.
    fn fails(&mut self, fault: Fault) -> bool {
        match self.faults.get_mut(&fault) {
            None => false,
            Some(0) => {
                self.faults.remove(&fault);
                true
            }
            Some(after) => {
                *after -= 1;
                false
            }
        }
    }

    fn name(&mut self, change: NameChange) {
        rename(&mut self.names, change.clone());
        self.pending_names.push(change);
    }

    fn find(&self, name: &str) -> io::Result<usize> {
        self.names.get(name).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn change(&mut self, file: usize, change: Change) {
        if let Some(content) = self.files.get_mut(file) {
            apply(&mut content.seen, &change);
            content.pending.push(change);
        }
    }
}

impl Drop for SimDisk {
    fn drop(&mut self) {
        let mut state = hold(&self.state);
        if self.has_lock && state.generation == self.generation {
            state.locked = false;
        }
    }
}

impl Disk for SimDisk {
    type File = SimFile;

    fn lock(&mut self) -> io::Result<()> {
        let mut state = self.alive()?;
        if state.locked {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        state.locked = true;
        drop(state);
        self.has_lock = true;
        Ok(())
    }

    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.alive()?.names.keys().cloned().collect())
    }

    fn create(&self, name: &str) -> io::Result<SimFile> {
        let mut state = self.alive()?;
        let file = match state.find(name) {
            Ok(file) => file,
            Err(_) => {
                state.files.push(Content::default());
                let file = state.files.len() - 1;
                state.name(NameChange::Link(name.to_owned(), file));
                file
            }
        };
        state.change(file, Change::SetLen(0));
        Ok(SimFile { state: Arc::clone(&self.state), generation: self.generation, file })
    }

    fn open(&self, name: &str) -> io::Result<SimFile> {
        let file = self.alive()?.find(name)?;
        Ok(SimFile { state: Arc::clone(&self.state), generation: self.generation, file })
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut state = self.alive()?;
        state.find(name)?;
        state.name(NameChange::Unlink(name.to_owned()));
        Ok(())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.alive()?;
        let file = state.find(from)?;
        state.name(NameChange::Link(to.to_owned(), file));
        state.name(NameChange::Unlink(from.to_owned()));
        Ok(())
    }

    fn sync_dir(&self) -> io::Result<()> {
        let mut guard = self.alive()?;
        let state = &mut *guard;
        if state.fails(Fault::SyncDir) {
            return Err(io::Error::other("the simulated folder sync failed"));
        }
        for change in std::mem::take(&mut state.pending_names) {
            rename(&mut state.durable_names, change);
        }
        Ok(())
    }

    fn free_bytes(&self) -> io::Result<u64> {
        let state = self.alive()?;
        Ok(state.capacity.saturating_sub(state.used()))
    }
}

impl SimFile {
    fn alive(&self) -> io::Result<MutexGuard<'_, State>> {
        let state = hold(&self.state);
        if state.generation == self.generation { Ok(state) } else { Err(dead()) }
    }
}

impl DiskFile for SimFile {
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.alive()?;
        let offset = usize::try_from(offset).map_err(io::Error::other)?;
        let failing = state.fails(Fault::Write);
        let length = state.files.get(self.file).map_or(0, |file| file.seen.len());
        let growth = (offset + bytes.len()).saturating_sub(length) as u64;
        let room = state.capacity.saturating_sub(state.used());
        if !failing && growth <= room {
            state.change(self.file, Change::Write { offset, bytes: bytes.to_vec() });
            return Ok(());
        }
        // A part of it gets through.
        let most = if failing { bytes.len() as u64 } else { room.min(bytes.len() as u64) };
        let part = usize::try_from(state.entropy.below(most + 1)).unwrap_or_default();
        let bytes = bytes.get(..part).unwrap_or_default().to_vec();
        state.change(self.file, Change::Write { offset, bytes });
        if failing {
            return Err(io::Error::other("the simulated write failed"));
        }
        Err(io::ErrorKind::StorageFull.into())
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let mut state = self.alive()?;
        if state.fails(Fault::Read) {
            return Err(io::Error::other("the simulated read failed"));
        }
        let seen = state.files.get(self.file).map(|file| file.seen.as_slice()).unwrap_or_default();
        let rest =
            seen.get(usize::try_from(offset).map_err(io::Error::other)?..).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        if let (Some(to), Some(from)) = (buffer.get_mut(..count), rest.get(..count)) {
            to.copy_from_slice(from);
        }
        Ok(count)
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut state = self.alive()?;
        let failing = state.fails(Fault::Sync);
        let State { files, entropy, .. } = &mut *state;
        let Some(content) = files.get_mut(self.file) else { return Err(dead()) };
        for change in std::mem::take(&mut content.pending) {
            // What a failed sync did not get to the platter is forgotten for good.
            match failing {
                true => tear(&mut content.durable, &change, entropy),
                false => apply(&mut content.durable, &change),
            }
        }
        if failing { Err(io::Error::other("the simulated sync failed")) } else { Ok(()) }
    }

    fn set_len(&mut self, length: u64) -> io::Result<()> {
        let length = usize::try_from(length).map_err(io::Error::other)?;
        self.alive()?.change(self.file, Change::SetLen(length));
        Ok(())
    }

    fn byte_len(&self) -> io::Result<u64> {
        Ok(self.alive()?.files.get(self.file).map_or(0, |file| file.seen.len() as u64))
    }
}
