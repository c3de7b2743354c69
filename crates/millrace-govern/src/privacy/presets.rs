//! Lists of the places where personal data usually stands, in all protocols' forms.

use super::{Place, PrivacyRule, Treatment};

/// The names of the lists.
pub const PRESETS: [&str; 2] = ["personal", "ids"];

/// E-mail addresses and telephone numbers, wherever they stand: joins by their hash still work.
const HASHED: [&str; 26] = [
    "$..email",
    "$..Email",
    "$..$email",
    "$..emailAddress",
    "$..email_address",
    "$..e_mail",
    "$..userEmail",
    "$..user_email",
    "$..customer_email",
    "$..phone",
    "$..Phone",
    "$..$phone",
    "$..phoneNumber",
    "$..phone_number",
    "$..mobile",
    "$..mobileNumber",
    "$..telephone",
    "$..personalEmail.address",
    "$..workEmail.address",
    "$..mobilePhone.number",
    "$..homePhone.number",
    "$..identityMap.Email[*].id",
    "$..identityMap.Phone[*].id",
    "$..e-mail",
    "$..contact_email",
    "$..customerEmail",
];

/// Names, birthdays, streets, and what nobody should send at all.
const REMOVED: [&str; 46] = [
    "$..firstName",
    "$..first_name",
    "$..firstname",
    "$..$first_name",
    "$..lastName",
    "$..last_name",
    "$..lastname",
    "$..$last_name",
    "$..middleName",
    "$..fullName",
    "$..full_name",
    "$.traits.name",
    "$.context.traits.name",
    "$.traits.username",
    "$.context.traits.username",
    "$..$name",
    "$..$username",
    "$.xdm.person.name",
    "$..birthday",
    "$..$birthday",
    "$..birthDate",
    "$..birthdate",
    "$..birth_date",
    "$..dateOfBirth",
    "$..date_of_birth",
    "$..street",
    "$..street1",
    "$..street2",
    "$..postalCode",
    "$..postal_code",
    "$..zip",
    "$..avatar",
    "$..$avatar",
    "$..password",
    "$..passwd",
    "$..creditCard",
    "$..credit_card",
    "$..cardNumber",
    "$..card_number",
    "$..cvv",
    "$..iban",
    "$..ssn",
    "$..social_security_number",
    "$..passport",
    "$..nationalId",
    "$.mergeProperties",
];

/// Addresses of devices keep their network.
const MASKED: [&str; 5] = [
    "$.context.ip",
    "$.xdm.environment.ipV4",
    "$.xdm.environment.ipV6",
    "$.properties.ip",
    "$.properties.$ip",
];

/// Where addresses of pages stand, whose parameters may name somebody.
const PAGES: [&str; 20] = [
    "$.context.page.url",
    "$.context.page.referrer",
    "$.context.page.search",
    "$.properties.url",
    "$.properties.referrer",
    "$.properties.search",
    "$.properties.$current_url",
    "$.properties.$referrer",
    "$.properties.$initial_referrer",
    "$.properties.current_url_search",
    "$.xdm.web.webPageDetails.URL",
    "$.xdm.web.webReferrer.URL",
    "$.context.page.initial_referrer",
    "$.xdm.web.webInteraction.URL",
    "$.context.page.path",
    "$.context.page.tab_url",
    "$.properties.path",
    "$.properties.tab_url",
    "$.properties.initial_referrer",
    "$.properties.$initial_current_url",
];
const PARAMETERS: [&str; 12] = [
    "email",
    "e-mail",
    "mail",
    "user_email",
    "phone",
    "name",
    "first_name",
    "last_name",
    "password",
    "token",
    "access_token",
    "id_token",
];

/// Ids of people and devices: every one the same hash wherever it stands, so that they still join.
const IDS: [&str; 24] = [
    "$.userId",
    "$.anonymousId",
    "$.previousId",
    "$.traits.id",
    "$.context.traits.id",
    "$.properties.distinct_id",
    "$.properties.$user_id",
    "$.properties.$device_id",
    "$.properties.$identified_id",
    "$.properties.$anon_id",
    "$.properties.alias",
    "$.$distinct_id",
    "$.context.device.id",
    "$.context.device.advertisingId",
    "$..identityMap.*[*].id",
    "$.mixpanel.distinct_id",
    "$.mixpanel.user_id",
    "$.mixpanel.device_id",
    "$.context.mixpanel.distinct_id",
    "$.context.mixpanel.user_id",
    "$.context.mixpanel.device_id",
    "$.properties.$distinct_id",
    "$.properties.$distinct_ids",
    "$.context.device.idfa",
];

/// The rules of a list; none for a name that is none.
#[must_use]
pub fn preset(name: &str) -> Option<Vec<PrivacyRule>> {
    let rule = |treatment: Treatment| {
        move |place: String| Some(PrivacyRule { place: Place::parse(&place).ok()?, treatment })
    };
    match name {
        "personal" => {
            let texts =
                |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
            let parameters = PAGES.iter().flat_map(|page| {
                PARAMETERS.iter().map(move |parameter| format!("{page}?{parameter}"))
            });
            let hashed = texts(&HASHED).into_iter().filter_map(rule(Treatment::Hash));
            let masked = texts(&MASKED).into_iter().filter_map(rule(Treatment::Mask));
            let removed = texts(&REMOVED).into_iter().chain(parameters);
            Some(hashed.chain(masked).chain(removed.filter_map(rule(Treatment::Remove))).collect())
        }
        "ids" => {
            let ids = IDS.iter().map(|text| (*text).to_owned());
            Some(ids.filter_map(rule(Treatment::Hash)).collect())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_of_the_lists_can_be_read() {
        let personal = HASHED.len() + REMOVED.len() + MASKED.len() + PAGES.len() * PARAMETERS.len();
        assert_eq!(preset("personal").map(|rules| rules.len()), Some(personal));
        assert_eq!(preset("ids").map(|rules| rules.len()), Some(IDS.len()));
        assert!(PRESETS.iter().all(|name| preset(name).is_some()));
        assert!(preset("other").is_none());
    }
}
