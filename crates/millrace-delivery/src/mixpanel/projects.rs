//! The projects that an integration sends to: its own, and others that rows may name by their token.
//!
//! What is not declared is never sent: a blueprint that takes a token from an event could otherwise
//! be made to write into any project.

use std::sync::Arc;

use millrace_model::code::{Code, ErrorKind};
use millrace_model::row::{ProjectKey, Row, Rows};

use super::options::MixpanelOptions;
use crate::scheduler::{ProjectKeys, ProjectNumber};

/// An event has a row for a project that is not declared. The words cannot show the token: a row
/// holds a hash of it only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the event is for a project with another token (****): declare it in `projects` of the \
     integration, or correct the token"
)]
pub struct Undeclared;

impl Undeclared {
    /// The stable code.
    #[must_use]
    pub const fn code(self) -> Code {
        Code::UndeclaredProject
    }

    /// What to do: put the event aside.
    #[must_use]
    pub const fn kind(self) -> ErrorKind {
        ErrorKind::Reject
    }
}

/// A second declaration of a project.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the project `{0}` has the token of another one of the integration")]
pub struct DeclaredTwice(pub String);

/// The projects of an integration.
#[derive(Clone, Debug)]
pub struct Projects {
    keys: ProjectKeys,
    own: Arc<MixpanelOptions>,
    others: Vec<Declared>,
}

#[derive(Clone, Debug)]
struct Declared {
    name: String,
    options: Arc<MixpanelOptions>,
}

impl From<MixpanelOptions> for Projects {
    fn from(own: MixpanelOptions) -> Projects {
        let keys = ProjectKeys::new(ProjectKey::of(own.token().expose()));
        Projects { keys, own: Arc::new(own), others: Vec::new() }
    }
}

impl Projects {
    /// Declares another project.
    ///
    /// # Errors
    /// When its token is that of the integration or of another project.
    pub fn declare(
        &mut self,
        name: impl Into<String>,
        options: MixpanelOptions,
    ) -> Result<(), DeclaredTwice> {
        let name = name.into();
        if !self.keys.declare(ProjectKey::of(options.token().expose())) {
            return Err(DeclaredTwice(name));
        }
        self.others.push(Declared { name, options: Arc::new(options) });
        Ok(())
    }

    /// The places of the projects.
    #[must_use]
    pub const fn keys(&self) -> &ProjectKeys {
        &self.keys
    }

    /// Where and as whom a project is sent to.
    #[must_use]
    pub fn options(&self, number: ProjectNumber) -> &Arc<MixpanelOptions> {
        self.declared(number).map_or(&self.own, |declared| &declared.options)
    }

    /// The name of a declared project; none for the integration's own.
    #[must_use]
    pub fn name(&self, number: ProjectNumber) -> Option<&str> {
        self.declared(number).map(|declared| declared.name.as_str())
    }

    /// All options, those of the integration's own project first.
    pub fn all(&self) -> impl Iterator<Item = &Arc<MixpanelOptions>> {
        std::iter::once(&self.own).chain(self.others.iter().map(|declared| &declared.options))
    }

    /// Checks that every row is for a project of the integration.
    ///
    /// # Errors
    /// When one is not: then no row of the event may be sent.
    pub fn check(&self, rows: &Rows) -> Result<(), Undeclared> {
        let declared = |row: &Row| self.keys.number(row.project).is_some();
        if rows.rows.iter().all(declared) { Ok(()) } else { Err(Undeclared) }
    }

    fn declared(&self, number: ProjectNumber) -> Option<&Declared> {
        number.index().checked_sub(1).and_then(|place| self.others.get(place))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mixpanel::Region;
    use millrace_model::secret::Secret;

    #[test]
    fn a_token_leads_to_its_project_and_to_no_other() {
        let options =
            |region, token: &str| MixpanelOptions::new(region, Secret::new(token)).unwrap();
        let mut projects = Projects::from(options(Region::Us, "own"));
        projects.declare("europe", options(Region::Eu, "eu")).unwrap();
        projects.declare("india", options(Region::In, "in")).unwrap();
        let twice = projects.declare("again", options(Region::Us, "own"));
        assert_eq!(twice, Err(DeclaredTwice("again".to_owned())));
        assert!(projects.declare("again", options(Region::Us, "in")).is_err());
        for (token, name, region) in [
            (None, None, Some(Region::Us)),
            (Some("own"), None, Some(Region::Us)),
            (Some("eu"), Some("europe"), Some(Region::Eu)),
            (Some("in"), Some("india"), Some(Region::In)),
            (Some("other"), None, None),
        ] {
            let number = projects.keys().number(token.map(ProjectKey::of));
            assert_eq!(number.and_then(|number| projects.name(number)), name);
            let found = number.map(|number| projects.options(number).region().clone());
            assert_eq!(found, region, "{token:?}");
        }
        assert_eq!(projects.all().count(), projects.keys().numbers().count());
    }
}
