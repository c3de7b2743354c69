//! The seam to the file system: one folder, and the files in it.
//!
//! The log does everything to its folder through these two traits and nothing beside them, so that
//! a simulated disk can lose, tear and reorder whatever was not synced, fill up, and fail any call.
//! What an implementation must keep, and nothing more:
//!
//! - what [`DiskFile::sync`] has returned `Ok` for (content and length of that file) survives a crash;
//! - what [`Disk::sync_dir`] has returned `Ok` for (which names exist) survives a crash;
//! - without a crash, a read sees every write before it;
//! - a full disk is reported as [`std::io::ErrorKind::StorageFull`] or `QuotaExceeded`.
//!
//! There is no caching and no retrying here: both are decisions of the log.

use std::io;

/// One folder.
pub trait Disk: Send + 'static {
    /// A file of the folder.
    type File: DiskFile;

    /// Takes the folder for this process until `self` is dropped.
    ///
    /// # Errors
    /// `WouldBlock` when another holder has it, else what the system says.
    fn lock(&mut self) -> io::Result<()>;

    /// The names of all files.
    ///
    /// # Errors
    /// What the system says.
    fn list(&self) -> io::Result<Vec<String>>;

    /// Creates an empty file, emptying one that is there already.
    ///
    /// # Errors
    /// What the system says.
    fn create(&self, name: &str) -> io::Result<Self::File>;

    /// Opens a file for reading and writing.
    ///
    /// # Errors
    /// `NotFound` when it is not there, else what the system says.
    fn open(&self, name: &str) -> io::Result<Self::File>;

    /// Removes a file.
    ///
    /// # Errors
    /// What the system says.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Renames a file over whatever has the new name.
    ///
    /// # Errors
    /// What the system says.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Makes the names (created, removed, renamed) durable.
    ///
    /// # Errors
    /// What the system says; which names are durable is then unknown.
    fn sync_dir(&self) -> io::Result<()>;

    /// The bytes that may still be written.
    ///
    /// # Errors
    /// What the system says.
    fn free_bytes(&self) -> io::Result<u64>;
}

/// One open file.
pub trait DiskFile: Send + 'static {
    /// Writes all the bytes at this offset.
    ///
    /// # Errors
    /// What the system says; any part of the bytes may then have been written.
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Reads up to `buffer.len()` bytes at this offset; fewer only at the end of the file.
    ///
    /// # Errors
    /// What the system says.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;

    /// Makes content and length durable.
    ///
    /// # Errors
    /// What the system says; what was written since the last sync may then be lost, whatever a
    /// later sync returns.
    fn sync(&mut self) -> io::Result<()>;

    /// Cuts the file, or extends it with zeros.
    ///
    /// # Errors
    /// What the system says.
    fn set_len(&mut self, length: u64) -> io::Result<()>;

    /// The length in bytes.
    ///
    /// # Errors
    /// What the system says.
    fn byte_len(&self) -> io::Result<u64>;
}
