//! `[pipelines.mixpanel]`: what Mixpanel's own SDKs show to send to a pipeline.

use millrace_http::{MixpanelAccess, WriteKey};
use millrace_model::code::Code;
use millrace_model::secret::Secret;

use super::super::super::document::{Field, Report};
use super::super::super::secrets::{self, Literal};
use super::super::non_empty;
use super::write_keys;

/// Reads what is right. `taken` is that of earlier pipelines.
pub(super) fn read(
    field: &Field<'_>,
    taken: &[&MixpanelAccess],
    report: &mut Report<'_>,
) -> MixpanelAccess {
    let Some(mut section) = field.table(report) else { return MixpanelAccess::default() };
    let tokens = section.required(report, "tokens", "tokens = [\"0123456789abcdef\"]");
    let [secrets, accounts] =
        ["api_secrets", "service_accounts"].map(|name| section.optional(name));
    section.finish(report);
    let keys = |field: Option<Field<'_>>, known: Vec<&Secret>, report: &mut Report<'_>| {
        field.map(|field| write_keys::read(&field, &known, report)).unwrap_or_default()
    };
    let users = |access: &'_ &MixpanelAccess| -> Vec<Secret> {
        access.tokens.iter().chain(&access.api_secrets).map(|user| user.key.clone()).collect()
    };
    let known: Vec<Secret> = taken.iter().flat_map(users).collect();
    let tokens = keys(tokens, known.iter().collect(), report);
    let known: Vec<&Secret> = known.iter().chain(tokens.iter().map(|token| &token.key)).collect();
    let api_secrets = keys(secrets, known, report);
    let mut service_accounts: Vec<WriteKey> = Vec::new();
    let accounts = accounts.and_then(|field| field.list(report, "service accounts"));
    for account in accounts.unwrap_or_default() {
        let Some(pair) = read_account(&account, report) else { continue };
        let known = taken.iter().flat_map(|access| &access.service_accounts);
        if known.chain(&service_accounts).any(|other| other.key.expose() == pair.expose()) {
            let message =
                "the service account is named twice, so its events could belong to either";
            report.mistake(account.at(), Code::DuplicateName, message, None);
        } else {
            service_accounts.push(WriteKey::from(pair));
        }
    }
    MixpanelAccess { tokens, api_secrets, service_accounts }
}

/// `{ user = "name", secret = { env = ".." } }`, as the pair of Basic authorization.
fn read_account(field: &Field<'_>, report: &mut Report<'_>) -> Option<Secret> {
    let mut section = field.table(report)?;
    let user = section.required(report, "user", "user = \"import.1a2b3c\"");
    let secret = section.required(report, "secret", "secret = { env = \"IMPORT_SECRET\" }");
    section.finish(report);
    let secret = secrets::read(&secret?, report, Literal::Warned);
    let user = user?;
    let name = non_empty(&user, report, "import.1a2b3c")?;
    if name.contains(':') {
        // It ends the user of Basic authentication (RFC 7617, section 2).
        user.wrong(report, "must have no `:`", None);
        return None;
    }
    Some(Secret::new(format!("{name}:{}", secret?.expose())))
}
