//! The rules of a door over any event: consent with its cookies and strings, bots, privacy. What
//! comes out is valid JSON, and the number of items never changes. Input: a byte of switches, the
//! cookies up to the first zero byte, then the body of a batch.

use std::sync::OnceLock;

use bytes::Bytes;
use millrace_govern::bots::BotOptions;
use millrace_govern::consent::{ConsentOptions, Unsaid};
use millrace_govern::privacy::{Place, PrivacyOptions, PrivacyRule, Treatment, preset};
use millrace_govern::{Circumstances, RuleOptions, Rules};
use millrace_model::entropy::SeededEntropy;
use millrace_model::event::Item;
use millrace_model::passage::Origin;
use millrace_model::time::UnixMillis;
use millrace_protocol::Limits;
use millrace_protocol::inflate::decode_body;
use millrace_protocol::segment::{Admission, Call, Envelope};

fn rules() -> &'static [Rules; 3] {
    static RULES: OnceLock<[Rules; 3]> = OnceLock::new();
    RULES.get_or_init(|| {
        let mut personal = preset("personal").or_else(|| preset("gdpr")).unwrap_or_default();
        for (path, treatment) in [
            ("$.**.email", Treatment::Hash),
            ("$.properties.list[*].name", Treatment::Mask),
            ("$.context.page.url?email", Treatment::Remove),
            ("$.userId", Treatment::Hash),
        ] {
            personal.push(PrivacyRule { place: Place::parse(path).unwrap(), treatment });
        }
        let privacy = PrivacyOptions { rules: personal, ..PrivacyOptions::default() };
        let consent = |unsaid| ConsentOptions {
            required: vec!["analytics".to_owned()],
            unsaid,
            annotate: true,
            ..ConsentOptions::default()
        };
        let with = |consent, privacy| {
            Rules::new(&RuleOptions {
                consent,
                privacy,
                bots: Some(BotOptions::default()),
                ..RuleOptions::default()
            })
        };
        [
            with(Some(consent(Unsaid::Allow)), Some(privacy.clone())),
            with(Some(consent(Unsaid::Strip)), None),
            with(None, Some(privacy)),
        ]
    })
}

/// One input.
pub fn govern(data: &[u8]) {
    let Some((first, rest)) = data.split_first() else { return };
    let cut = rest.iter().position(|byte| *byte == 0).unwrap_or(0);
    let (cookies, body) = rest.split_at(cut);
    let body = body.strip_prefix(&[0]).unwrap_or(body);
    let cookies = String::from_utf8_lossy(cookies);
    let limits = Limits::default();
    let Ok(body) = decode_body(Bytes::copy_from_slice(body), "", limits.inflated_bytes) else {
        return;
    };
    let Ok(envelope) = Envelope::read(Call::Batch, body, &limits) else {
        return;
    };
    let pipeline = "dev".parse().unwrap();
    let mut batch = envelope.admit(&Admission {
        pipeline: &pipeline,
        origin: Origin::Spec,
        received_at: UnixMillis(1_795_359_600_000),
        client_ip: Some([203, 0, 113, 9].into()),
        from_device: true,
        limits: &limits,
        entropy: &SeededEntropy::new(1),
    });
    let count = batch.items.len();
    let Some(rules) = rules().get(usize::from(first % 3)) else { return };
    rules.govern(
        &mut batch,
        &Circumstances {
            received_at: UnixMillis(1_795_359_600_000),
            client_ip: Some([203, 0, 113, 9].into()),
            from_device: true,
            user_agent: Some("Mozilla/5.0"),
            cookies: Some(&cookies),
            global_privacy_control: first % 2 == 0,
        },
    );
    assert_eq!(batch.items.len(), count);
    for item in &batch.items {
        if let Item::Event(event) = item {
            let read: Result<serde_json::Value, _> = serde_json::from_slice(&event.body);
            // serde_json refuses two things that pass the door: half a surrogate pair, and a number
            // out of every range.
            if let Err(error) = read {
                let text = error.to_string();
                let known = ["surrogate", "hex escape", "number out of range", "recursion limit"];
                assert!(known.iter().any(|known| text.contains(known)), "{text}");
            }
        }
    }
}
