//! Processes that a benchmark starts: where they are, what they cost.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail};

/// The folder that holds the workspace.
pub(crate) fn workspace_root() -> PathBuf {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    here.parent().map_or_else(|| here.clone(), PathBuf::from)
}

/// The shared folder with the benchmark events: `MILLRACE_SHARED`, else beside the workspace.
pub(crate) fn shared_folder() -> PathBuf {
    std::env::var_os("MILLRACE_SHARED")
        .map_or_else(|| workspace_root().join("../shared"), PathBuf::from)
}

/// CPU seconds (user and system) of this process so far.
pub(crate) fn own_cpu_seconds() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// Builds the binary with the shipped profile's optimisations that the README's command uses, and
/// gives its path.
pub(crate) fn build_millrace() -> anyhow::Result<PathBuf> {
    let status = Command::new("cargo")
        .args(["build", "--release", "--locked", "--package", "millrace"])
        .current_dir(workspace_root())
        .status()
        .context("cargo could not be started")?;
    if !status.success() {
        bail!("millrace does not build");
    }
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| workspace_root().join("target"), PathBuf::from);
    Ok(target.join("release/millrace"))
}

/// A running `millrace serve`, killed when dropped.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    /// `host:port` of the collector.
    pub(crate) collector: String,
    /// `host:port` of the management API.
    pub(crate) management: String,
    /// `host:port` of the twin, if there is one.
    pub(crate) twin: Option<String>,
}

impl Server {
    /// Starts the binary and waits until it has printed its addresses.
    pub(crate) fn start(mut command: Command) -> anyhow::Result<Server> {
        let mut child = command
            .stdout(Stdio::piped())
            .stdin(Stdio::null())
            .spawn()
            .context("millrace could not be started")?;
        let stdout = child.stdout.take().context("no standard output")?;
        let mut server =
            Server { child, collector: String::new(), management: String::new(), twin: None };
        for line in BufReader::new(stdout).lines() {
            let line = line?;
            let mut words = line.split_whitespace();
            let name = words.next();
            let address = words.next().unwrap_or_default().trim_start_matches("http://").to_owned();
            match name {
                Some("collector") => server.collector = address,
                Some("management") => server.management = address,
                Some("twin") => server.twin = Some(address),
                Some("ready") => return Ok(server),
                _ => {}
            }
        }
        bail!("millrace ended before it was ready")
    }

    /// CPU time of the process so far.
    pub(crate) fn cpu(&self) -> anyhow::Result<Duration> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        // The second field is the name in brackets, which may hold spaces.
        let after_name = stat.rsplit_once(')').context("/proc/PID/stat")?.1;
        let fields: Vec<&str> = after_name.split_whitespace().collect();
        let ticks = |at: usize| fields.get(at).and_then(|text| text.parse::<u64>().ok());
        let (user, system) = (ticks(11).context("utime")?, ticks(12).context("stime")?);
        // USER_HZ is 100 on every Linux that Rust runs on.
        Ok(Duration::from_millis((user + system) * 10))
    }

    /// The most memory that the process has had resident so far, in bytes.
    pub(crate) fn peak_memory(&self) -> anyhow::Result<u64> {
        self.status_bytes("VmHWM:")
    }

    /// The memory that the process has resident now, in bytes.
    pub(crate) fn resident_memory(&self) -> anyhow::Result<u64> {
        self.status_bytes("VmRSS:")
    }

    fn status_bytes(&self, name: &'static str) -> anyhow::Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find(|line| line.starts_with(name)).context(name)?;
        let kib: u64 = line.split_whitespace().nth(1).context(name)?.parse()?;
        Ok(kib * 1024)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
