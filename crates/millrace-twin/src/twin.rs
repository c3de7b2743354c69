//! The twin as one value: projects, journal, notes and counters behind one router.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use millrace_model::entropy::Entropy;
use millrace_model::time::Clock;
use serde::Serialize;
use tokio::sync::Semaphore;

use crate::error::TwinError;
use crate::journal::{Memory, OnDisk};
use crate::lookup_tables::LookupTables;
use crate::options::{TwinOptions, ViewAccess};
use crate::project::Projects;
use crate::refusal::Notes;
use crate::router;
use crate::writer::Writer;

/// KiB of request bodies that may be in memory at once; further requests wait.
const BODY_BUDGET_KIB: usize = 512 * 1024;

/// An open twin.
///
/// Its data is durable before a request is answered, when it has a folder. Dropping the last router
/// made from it and the twin itself ends its writer thread.
#[derive(Debug)]
pub struct Twin {
    inner: Arc<Inner>,
}

/// What all requests share.
#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) projects: Projects,
    pub(crate) writer: Writer,
    pub(crate) lookup_tables: LookupTables,
    pub(crate) notes: Notes,
    pub(crate) traffic: Traffic,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) views: ViewAccess,
    pub(crate) body_budget: Arc<Semaphore>,
}

impl Twin {
    /// Opens a twin and reads what its folder holds.
    ///
    /// # Errors
    /// Options that cannot be served, and a folder that cannot be opened or is damaged.
    pub fn open(
        options: TwinOptions,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Twin, TwinError> {
        options.check()?;
        let projects = Projects::new(options.projects);
        let writer = match &options.data_dir {
            None => Writer::start(Memory, projects.clone())?,
            Some(folder) => {
                let replay = |kind, record: &[u8]| projects.apply(kind, record);
                let journal = OnDisk::open(folder, Arc::clone(&clock), replay)?;
                Writer::start(journal, projects.clone())?
            }
        };
        let lookup_tables = LookupTables::open(options.data_dir.as_deref())?;
        let inner = Inner {
            projects,
            writer,
            lookup_tables,
            notes: Notes::default(),
            traffic: Traffic::default(),
            clock,
            entropy,
            views: options.views,
            body_budget: Arc::new(Semaphore::new(BODY_BUDGET_KIB)),
        };
        Ok(Twin { inner: Arc::new(inner) })
    }

    /// The routes of the twin: Mixpanel's, and the views under `/twin/v1/`.
    pub fn router(&self) -> Router {
        router::routes(Arc::clone(&self.inner))
    }
}

/// What went through an endpoint since the twin was opened.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Counts {
    /// Requests.
    pub(crate) requests: u64,
    /// Records in them.
    pub(crate) rows: u64,
    /// Records stored.
    pub(crate) stored: u64,
    /// Records that were invalid.
    pub(crate) refused: u64,
    /// Records that were valid and not stored.
    pub(crate) ignored: u64,
}

type TrafficKey = (Option<u64>, &'static str);

/// The counters by project and endpoint; those without a project are of requests that named no
/// known one.
#[derive(Debug, Default)]
pub(crate) struct Traffic(Mutex<BTreeMap<TrafficKey, Counts>>);

impl Traffic {
    /// Adds to the counters of an endpoint.
    pub(crate) fn add(&self, project: Option<u64>, endpoint: &'static str, more: Counts) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let counts = all.entry((project, endpoint)).or_default();
        counts.requests += more.requests;
        counts.rows += more.rows;
        counts.stored += more.stored;
        counts.refused += more.refused;
        counts.ignored += more.ignored;
    }

    /// The counters of a project, by endpoint.
    pub(crate) fn of(&self, project: Option<u64>) -> BTreeMap<&'static str, Counts> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mine = all.iter().filter(|((id, _), _)| *id == project);
        mine.map(|((_, endpoint), counts)| (*endpoint, *counts)).collect()
    }
}
