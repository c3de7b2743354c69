//! Who may write to and read from which project (reference/mixpanel-api.md 2.3, 6).
//!
//! Secrets are compared in constant time and never printed.

use millrace_model::secret::Secret;
use subtle::ConstantTimeEq;

use crate::body;
use crate::options::ProjectOptions;

/// The user and the password of a Basic header.
#[derive(Debug)]
pub(crate) struct Credentials {
    user: Secret,
    password: Secret,
}

/// Why credentials open nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Denied {
    /// None were sent, or they fit no project.
    Invalid,
    /// No project knows the service account.
    UnknownAccount,
    /// An API secret came together with a project id, which the export refuses.
    SecretWithProject,
}

impl Denied {
    /// Mixpanel's words for it.
    pub(crate) fn text(self) -> &'static str {
        match self {
            Denied::Invalid => "Invalid credentials",
            Denied::UnknownAccount => "Not a valid service account username",
            Denied::SecretWithProject => {
                "project_id must not be sent together with a project secret"
            }
        }
    }
}

impl Credentials {
    /// Reads an `Authorization` header; `None` when it is no Basic credential.
    pub(crate) fn read(header: &str) -> Option<Credentials> {
        let (scheme, rest) = header.trim().split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("basic") {
            return None;
        }
        let text = body::basic_text(rest.trim())?;
        let (user, password) = text.split_once(':').unwrap_or((&text, ""));
        Some(Credentials { user: Secret::new(user), password: Secret::new(password) })
    }

    /// The place of the project that `/import` opens: by token, API secret or service account.
    pub(crate) fn opens_import<'a>(
        &self,
        projects: impl Iterator<Item = &'a ProjectOptions> + Clone,
        project_id: Option<&str>,
    ) -> Result<u64, Denied> {
        if !self.password.is_empty() {
            return self.service_account(projects, project_id);
        }
        find(projects, |project| {
            same(&self.user, &project.token) || same(&self.user, &project.api_secret)
        })
    }

    /// The place of the project that the export opens: by API secret or service account.
    pub(crate) fn opens_export<'a>(
        &self,
        projects: impl Iterator<Item = &'a ProjectOptions> + Clone,
        project_id: Option<&str>,
    ) -> Result<u64, Denied> {
        if !self.password.is_empty() {
            return self.service_account(projects, project_id);
        }
        let project = find(projects, |project| same(&self.user, &project.api_secret))?;
        if project_id.is_some() { Err(Denied::SecretWithProject) } else { Ok(project) }
    }

    /// The place of the project whose lookup tables are opened: by service account only.
    pub(crate) fn opens_lookup_tables<'a>(
        &self,
        projects: impl Iterator<Item = &'a ProjectOptions> + Clone,
        project_id: Option<&str>,
    ) -> Result<u64, Denied> {
        if self.password.is_empty() {
            return Err(Denied::Invalid);
        }
        self.service_account(projects, project_id)
    }

    fn service_account<'a>(
        &self,
        mut projects: impl Iterator<Item = &'a ProjectOptions> + Clone,
        project_id: Option<&str>,
    ) -> Result<u64, Denied> {
        let accounts = projects.clone().flat_map(|project| &project.service_accounts);
        if !accounts.into_iter().any(|account| account.user == self.user.expose()) {
            return Err(Denied::UnknownAccount);
        }
        let id: u64 = project_id.and_then(|text| text.parse().ok()).ok_or(Denied::Invalid)?;
        let project = projects.find(|project| project.id == id).ok_or(Denied::Invalid)?;
        let admitted = project.service_accounts.iter().any(|account| {
            account.user == self.user.expose() && same(&account.secret, &self.password)
        });
        if admitted { Ok(project.id) } else { Err(Denied::Invalid) }
    }
}

fn find<'a>(
    mut projects: impl Iterator<Item = &'a ProjectOptions>,
    fits: impl Fn(&ProjectOptions) -> bool,
) -> Result<u64, Denied> {
    projects.find(|project| fits(project)).map(|project| project.id).ok_or(Denied::Invalid)
}

/// The token of a Bearer header; none when it is no such header.
pub(crate) fn bearer(header: &str) -> Option<Secret> {
    let (scheme, token) = header.trim().split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| Secret::new(token.trim()))
}

/// Whether a secret is the known one; an empty one is no secret.
pub(crate) fn same(sent: &Secret, known: &Secret) -> bool {
    !known.is_empty() && bool::from(sent.expose().as_bytes().ct_eq(known.expose().as_bytes()))
}
