//! The projects and their data, as a fold over the journal.
//!
//! Everything durable is a function of the records in their order: the writer applies a record
//! after it is on stable storage, and opening a folder applies the same records again. Nothing is
//! decided by looking at the tables before a record is written, so both ways agree.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use millrace_model::time::UnixMillis;
use serde_json::{Map, Value};

use crate::event::DEVICE;
use crate::identity::{Links, Symbol, Symbols};
use crate::options::ProjectOptions;
use crate::profile::{self, Profile};
use crate::record::{Kind, Reader};
use crate::table::EventTable;

/// One project.
#[derive(Debug)]
pub(crate) struct Project {
    pub(crate) options: ProjectOptions,
    data: RwLock<Data>,
}

/// What a project holds.
#[derive(Debug, Default)]
pub(crate) struct Data {
    pub(crate) ids: Symbols,
    pub(crate) links: Links,
    pub(crate) events: EventTable,
    pub(crate) users: HashMap<Symbol, Profile>,
    pub(crate) groups: BTreeMap<(String, String), Profile>,
    /// The distinct ids of each deletion task, by its id.
    pub(crate) deletions: BTreeMap<String, Vec<String>>,
}

impl Project {
    /// The data, for reading. A panic while it was written cannot leave it half changed in a way
    /// that reading minds, so a poisoned lock is read all the same.
    pub(crate) fn data(&self) -> RwLockReadGuard<'_, Data> {
        self.data.read().unwrap_or_else(PoisonError::into_inner)
    }
}

/// All projects of a twin.
#[derive(Clone, Debug)]
pub(crate) struct Projects(Arc<[Project]>);

impl Projects {
    /// Projects without data.
    pub(crate) fn new(options: Vec<ProjectOptions>) -> Projects {
        let empty = |options| Project { options, data: RwLock::default() };
        Projects(options.into_iter().map(empty).collect())
    }

    /// The options of all projects.
    pub(crate) fn options(&self) -> impl Iterator<Item = &ProjectOptions> + Clone {
        self.0.iter().map(|project| &project.options)
    }

    /// All projects.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Project> {
        self.0.iter()
    }

    /// The project with this id.
    pub(crate) fn by_id(&self, id: u64) -> Option<&Project> {
        self.0.iter().find(|project| project.options.id == id)
    }

    /// The project with this token.
    pub(crate) fn by_token(&self, token: &str) -> Option<&Project> {
        self.0.iter().find(|project| project.options.token.expose() == token)
    }

    /// Applies a record of the journal. Records of projects that are no longer served are kept in
    /// the journal and passed over.
    pub(crate) fn apply(&self, kind: Kind, record: &[u8]) {
        let mut reader = Reader::new(record);
        let Some((id, received)) = reader.project() else { return };
        let Some(project) = self.by_id(id) else { return };
        let mut data = project.data.write().unwrap_or_else(PoisonError::into_inner);
        let data = &mut *data;
        match kind {
            Kind::Events => {
                let Some(head) = reader.events_head(received) else { return };
                data.events.append(head, record, reader, &mut data.ids, &mut data.links);
            }
            Kind::Users => each_update(reader, |update| data.update_user(update, received)),
            Kind::Groups => each_update(reader, |update| data.update_group(update, received)),
            Kind::Deletions => each_update(reader, |task| data.delete_persons(task)),
        }
    }
}

fn each_update(mut reader: Reader<'_>, mut apply: impl FnMut(&Map<String, Value>)) {
    while let Some(block) = reader.block() {
        if let Ok(update) = serde_json::from_slice(block) {
            apply(&update);
        }
    }
}

impl Data {
    fn update_user(&mut self, update: &Map<String, Value>, received: UnixMillis) {
        let Some(id) = profile::id(update, "$distinct_id") else { return };
        let id = self.ids.intern(&id);
        let key = if profile::flag(update, "$ignore_alias") { id } else { self.links.resolve(id) };
        if let Some(after) = profile::apply(self.users.remove(&key), update, received) {
            self.users.insert(key, after);
        }
    }

    fn update_group(&mut self, update: &Map<String, Value>, received: UnixMillis) {
        let ids = profile::id(update, "$group_key").zip(profile::id(update, "$group_id"));
        let Some(key) = ids else { return };
        if let Some(after) = profile::apply(self.groups.remove(&key), update, received) {
            self.groups.insert(key, after);
        }
    }

    /// Deletes the profiles and the events of persons, as they are known now: whatever comes later
    /// under the same ids is kept.
    fn delete_persons(&mut self, task: &Map<String, Value>) {
        let Some(Value::String(id)) = task.get("id") else { return };
        let listed = task.get("distinct_ids").and_then(Value::as_array);
        let listed = listed.into_iter().flatten().filter_map(Value::as_str);
        let named: Vec<String> = listed.map(str::to_owned).collect();
        let persons: HashSet<Symbol> = named
            .iter()
            .filter_map(|id| self.ids.find(id))
            .map(|id| self.links.resolve(id))
            .collect();
        let links = &self.links;
        self.users.retain(|id, _| !persons.contains(&links.resolve(*id)));
        self.events.delete(|distinct| persons.contains(&links.resolve(distinct)));
        self.deletions.insert(id.clone(), named);
    }

    /// The profiles that can be seen: one of a device that was linked later is hidden, not moved
    /// (S15).
    pub(crate) fn visible_profiles(&self) -> usize {
        self.users.keys().filter(|id| self.links.resolve(**id) == **id).count()
    }

    /// The canonical number of any id of a user: as it stands, or as a device without its prefix.
    pub(crate) fn user(&self, any_id: &str) -> Option<Symbol> {
        let id = self.ids.find(any_id).or_else(|| self.ids.find(&format!("{DEVICE}{any_id}")))?;
        Some(self.links.resolve(id))
    }
}
