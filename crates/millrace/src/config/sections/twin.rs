//! The embedded twin and its projects.

use std::net::SocketAddr;

use millrace_model::code::Code;

use super::{Named, address, non_empty, refuse_second};
use crate::config::document::{Field, Report, Section};
use crate::config::secrets::{self, Literal};
use crate::config::tree::{Twin, TwinProject, TwinServiceAccount, TwinViews};

/// Reads the `[twin]` section.
pub(super) fn read(mut section: Section<'_>, report: &mut Report<'_>) -> Option<Twin> {
    let listen = section.optional("listen");
    let views = section.optional("views");
    let projects = section.tables(report, "projects");
    section.finish(report);
    let preset = SocketAddr::from(([127, 0, 0, 1], 8081));
    let listen = address(listen.as_ref(), report, preset);
    let views = views.map_or(Some(TwinViews::Loopback), |field| read_views(&field, report));
    if projects.is_empty() {
        let message = "the twin has no project, so it could take nothing";
        let fix = Some("add [[twin.projects]] with id and token".to_owned());
        report.mistake(section.at, Code::MissingKey, message, fix);
    }
    let mut read: Vec<Named<TwinProject>> = Vec::new();
    for project in projects {
        let at = project.at;
        let Some((name, value)) = read_project(project, &read, report) else { continue };
        read.push(Named { name, at, value });
    }
    let projects = read.into_iter().filter_map(|project| project.value).collect();
    Some(Twin { listen: listen?, views: views?, projects })
}

fn read_views(field: &Field<'_>, report: &mut Report<'_>) -> Option<TwinViews> {
    match field.text(report, "loopback")? {
        "loopback" => Some(TwinViews::Loopback),
        "everyone" => Some(TwinViews::Everyone),
        other => {
            let fix = Some("write \"loopback\" or \"everyone\"".to_owned());
            field.wrong(report, &format!("cannot be `{other}`"), fix);
            None
        }
    }
}

/// The id as text, and the project if all is well.
fn read_project(
    mut section: Section<'_>,
    earlier: &[Named<TwinProject>],
    report: &mut Report<'_>,
) -> Option<(String, Option<TwinProject>)> {
    let id = section.required(report, "id", "id = 1");
    let token = section.required(report, "token", "token = \"dev-token\"");
    let [name, api_secret, timezone, group_keys] =
        ["name", "api_secret", "timezone", "group_keys"].map(|key| section.optional(key));
    let accounts = section.tables(report, "service_accounts");
    section.finish(report);

    let id_at = id.as_ref().map_or(section.at, Field::at);
    let id = id.and_then(|field| field.number(report, (1, u64::from(u32::MAX))));
    if let Some(id) = id {
        refuse_second(earlier, &id.to_string(), id_at, "project", report);
    }
    // The twin is for trying things out: its secrets may stand here.
    let mut secret = |field: Field<'_>| secrets::read(&field, report, Literal::Fine);
    let token = token.and_then(|field| Some((secret(field.clone())?, field.at())));
    let api_secret = api_secret.map(&mut secret);
    let known = earlier.iter().filter_map(|project| project.value.as_ref());
    if let Some((token, at)) = &token
        && known.into_iter().any(|project| project.token.expose() == token.expose())
    {
        let message = "another project of the twin has the same token";
        report.mistake(*at, Code::DuplicateName, message, None);
    }
    let name = name.map_or(Some(None), |field| non_empty(&field, report, "dev").map(Some));
    let timezone = timezone.map_or(Some("UTC"), |field| non_empty(&field, report, "Europe/Berlin"));
    let group_keys = group_keys.map_or(Some(Vec::new()), |field| texts(&field, report));
    let count = accounts.len();
    let service_accounts: Vec<_> =
        accounts.into_iter().filter_map(|account| read_account(account, report)).collect();
    let value = (|| {
        let id = id?;
        Some(TwinProject {
            id,
            name: name?.map_or_else(|| format!("project {id}"), str::to_owned),
            token: token?.0,
            api_secret: match api_secret {
                Some(secret) => Some(secret?),
                None => None,
            },
            service_accounts: (service_accounts.len() == count).then_some(service_accounts)?,
            timezone: timezone?.to_owned(),
            group_keys: group_keys?,
        })
    })();
    Some((id?.to_string(), value))
}

fn read_account(mut section: Section<'_>, report: &mut Report<'_>) -> Option<TwinServiceAccount> {
    let user = section.required(report, "user", "user = \"dev.sa\"");
    let secret = section.required(report, "secret", "secret = \"dev-secret\"");
    section.finish(report);
    let user = user.and_then(|field| non_empty(&field, report, "dev.sa"));
    let secret = secret.and_then(|field| secrets::read(&field, report, Literal::Fine));
    Some(TwinServiceAccount { user: user?.to_owned(), secret: secret? })
}

fn texts(field: &Field<'_>, report: &mut Report<'_>) -> Option<Vec<String>> {
    let items = field.list(report, "texts")?;
    let texts: Vec<String> = items
        .iter()
        .filter_map(|item| non_empty(item, report, "company_id").map(str::to_owned))
        .collect();
    (texts.len() == items.len()).then_some(texts)
}
