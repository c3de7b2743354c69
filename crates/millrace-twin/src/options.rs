//! What a twin is made of: its folder and its projects, as plain data.
//!
//! Nothing here is read from files or the environment; the caller fills the values in.
//! [`TwinOptions::check`] refuses what this version cannot serve, before anything is opened.

use std::net::IpAddr;
use std::path::PathBuf;

use millrace_model::secret::Secret;
use millrace_model::time::UnixMillis;

use crate::error::TwinError;

/// 2023-01-01T00:00:00Z: projects created from here on export UTC days
/// (reference/mixpanel-api.md 6).
const UTC_DAYS_SINCE: UnixMillis = UnixMillis(1_672_531_200_000);

/// Everything a twin needs to start.
#[derive(Clone, Debug, Default)]
pub struct TwinOptions {
    /// The folder of its durable log; without one all data lives in memory and ends with the twin.
    pub data_dir: Option<PathBuf>,
    /// The projects it serves.
    pub projects: Vec<ProjectOptions>,
    /// Who may read the views under `/twin/v1/`.
    pub views: ViewAccess,
}

/// One project, as its settings page in Mixpanel would show it.
#[derive(Clone, Debug)]
pub struct ProjectOptions {
    /// The project id, unique in the twin.
    pub id: u64,
    /// The name for people.
    pub name: String,
    /// The project token, unique in the twin.
    pub token: Secret,
    /// The (deprecated) API secret.
    pub api_secret: Secret,
    /// The service accounts with access to the project.
    pub service_accounts: Vec<ServiceAccount>,
    /// The time zone of the project; it decides nothing in projects created since 2023, whose
    /// days are UTC days.
    pub timezone: String,
    /// How ids become users.
    pub identity: IdentityMode,
    /// The registered group keys; updates of other groups are ignored, as in Mixpanel.
    pub group_keys: Vec<String>,
    /// When the project was created.
    pub created_at: UnixMillis,
}

/// A service account: a user name and a secret.
#[derive(Clone, Debug)]
pub struct ServiceAccount {
    /// The user name, such as `dev.sa`.
    pub user: String,
    /// Its secret.
    pub secret: Secret,
}

/// The identity modes of Mixpanel (reference/mixpanel-api.md 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum IdentityMode {
    /// Simplified ID Merge: `$device_id` and `$user_id` on one event link them.
    #[default]
    Simplified,
    /// Original ID Merge; not served yet.
    Original,
    /// Legacy aliases; not served yet.
    Legacy,
}

/// Who may read the views, which ask for no credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum ViewAccess {
    /// Only connections from this machine.
    #[default]
    Loopback,
    /// Whoever reaches the port: for a container whose port is published on loopback only.
    Everyone,
}

impl ViewAccess {
    /// Whether a peer may read the views. A request without a peer came from inside the process.
    pub(crate) fn admits(self, peer: Option<IpAddr>) -> bool {
        match self {
            ViewAccess::Everyone => true,
            ViewAccess::Loopback => peer.is_none_or(|address| address.to_canonical().is_loopback()),
        }
    }
}

impl TwinOptions {
    /// Refuses options that cannot be served.
    pub(crate) fn check(&self) -> Result<(), TwinError> {
        for (index, project) in self.projects.iter().enumerate() {
            project.check()?;
            let earlier = self.projects.iter().take(index);
            for other in earlier {
                if other.id == project.id {
                    return Err(refused(project, "its id is used by another project"));
                }
                if other.token.expose() == project.token.expose() {
                    return Err(refused(project, "its token is used by another project"));
                }
            }
        }
        Ok(())
    }
}

impl ProjectOptions {
    fn check(&self) -> Result<(), TwinError> {
        match self.identity {
            IdentityMode::Simplified => {}
            IdentityMode::Original | IdentityMode::Legacy => {
                return Err(TwinError::IdentityModeNotServed {
                    project: self.id,
                    mode: self.identity,
                });
            }
        }
        if self.token.is_empty() {
            return Err(refused(self, "its token is empty"));
        }
        if self.timezone != "UTC" && self.created_at < UTC_DAYS_SINCE {
            let why =
                "projects from before 2023 with a time zone other than UTC are not served yet";
            return Err(refused(self, why));
        }
        Ok(())
    }
}

fn refused(project: &ProjectOptions, why: &'static str) -> TwinError {
    TwinError::BadProject { project: project.id, why }
}

#[cfg(test)]
mod tests {
    use super::*;
    use millrace_model::code::Code;

    fn project(id: u64, token: &str) -> ProjectOptions {
        ProjectOptions {
            id,
            name: "p".to_owned(),
            token: Secret::new(token),
            api_secret: Secret::new("s"),
            service_accounts: Vec::new(),
            timezone: "UTC".to_owned(),
            identity: IdentityMode::Simplified,
            group_keys: Vec::new(),
            created_at: UTC_DAYS_SINCE,
        }
    }

    #[test]
    fn what_cannot_be_served_is_refused_with_a_reason() {
        let with = |change: fn(&mut ProjectOptions)| {
            let mut second = project(2, "b");
            change(&mut second);
            let options =
                TwinOptions { projects: vec![project(1, "a"), second], ..TwinOptions::default() };
            options.check()
        };
        assert!(with(|_| {}).is_ok());
        for (change, words) in [
            ((|p| p.identity = IdentityMode::Original) as fn(&mut ProjectOptions), "Original"),
            (|p| p.identity = IdentityMode::Legacy, "Legacy"),
            (|p| p.id = 1, "id is used"),
            (|p| p.token = Secret::new("a"), "token is used"),
            (|p| p.token = Secret::new(""), "token is empty"),
            (
                |p| {
                    p.timezone = "Europe/Berlin".to_owned();
                    p.created_at = UnixMillis(0);
                },
                "before 2023",
            ),
        ] {
            let error = with(change).expect_err(words);
            assert!(error.to_string().contains(words), "{error}");
            assert_eq!(error.code(), Code::BadValue);
        }
    }

    #[test]
    fn views_are_for_this_machine_unless_opened() {
        let far = Some("198.51.100.7".parse().unwrap());
        assert!(!ViewAccess::Loopback.admits(far));
        assert!(ViewAccess::Everyone.admits(far));
        for near in ["127.0.0.1", "::1", "::ffff:127.0.0.1"] {
            assert!(ViewAccess::Loopback.admits(Some(near.parse().unwrap())), "{near}");
        }
    }
}
