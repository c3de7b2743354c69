//! Who a call is from: the write key, a signature, or both (`reference/datafly-adobe.md` 1.2).
//!
//! A signed call shows that its sender holds a secret of the pipeline, and its bytes are what was
//! signed. The pipeline is that of the key beside the signature; without a key it is the one whose
//! secret fits, found by trying a bounded number of them.

use std::sync::Arc;

use axum::http::StatusCode;
use axum::http::header::HeaderName;

use millrace_model::code::Code;
use millrace_model::secret::Secret;
use millrace_model::time::UnixMillis;

use crate::answer::Refusal;
use crate::doors::{Doors, Entrance};
use crate::keys::Credentials;
use crate::signature::{Datafly, Fault};
use crate::taking::Received;

const SIGNATURE: HeaderName = HeaderName::from_static("x-signature");
const TIMESTAMP: HeaderName = HeaderName::from_static("x-timestamp");

/// How many secrets are tried for a call without a key: each costs a pass over the body.
const MAX_TRIED: usize = 32;

/// Who sent a call.
#[derive(Debug)]
pub(crate) struct Sender {
    pub(crate) door: Entrance,
    pub(crate) signed: bool,
}

/// What the head says of a signature.
struct Signature<'a> {
    signature: Option<&'a str>,
    timestamp: Option<&'a str>,
    now: UnixMillis,
}

/// Finds the sender of a call. `raw` is the body as it was sent; `demanded` says that the path takes
/// signed calls only.
pub(crate) fn sender(
    received: &Received,
    raw: &[u8],
    credentials: &Credentials,
    in_body: Option<&Secret>,
    demanded: bool,
) -> Result<Sender, Refusal> {
    let head = Signature {
        signature: received.header(SIGNATURE),
        timestamp: received.header(TIMESTAMP),
        now: received.at,
    };
    judge(&received.doors, &head, raw, credentials, in_body, demanded)
}

fn judge(
    doors: &Doors,
    head: &Signature<'_>,
    raw: &[u8],
    credentials: &Credentials,
    in_body: Option<&Secret>,
    demanded: bool,
) -> Result<Sender, Refusal> {
    let owner = doors.keys.owner(credentials, in_body);
    let Some(signature) = head.signature else {
        return match owner {
            // One that may come from anywhere hears of the signature first.
            Ok(_) | Err(Refusal { code: Code::MissingWriteKey, .. }) if demanded => Err(unsigned()),
            Ok(door) if door.datafly.require_signature => Err(unsigned()),
            Ok(door) => Ok(Sender { door, signed: false }),
            Err(refusal) => Err(refusal),
        };
    };
    let doors = match owner {
        // Somebody's header of that name, of no meaning here.
        Ok(door) if door.datafly.hmac_secrets.is_empty() && !demanded => {
            return if door.datafly.require_signature {
                Err(refused(Fault::Wrong))
            } else {
                Ok(Sender { door, signed: false })
            };
        }
        Ok(door) => vec![door],
        Err(Refusal { code: Code::MissingWriteKey, .. }) => {
            doors.signing.iter().map(|door| Entrance::from(Arc::clone(door))).collect()
        }
        Err(refusal) => return Err(refusal),
    };
    let read = Datafly::read(signature, head.timestamp, head.now).map_err(refused)?;
    let mut left = MAX_TRIED;
    for door in doors {
        for secret in &door.datafly.hmac_secrets {
            if left == 0 {
                return Err(refused(Fault::Wrong));
            }
            left -= 1;
            if read.is_by(secret, raw) {
                return Ok(Sender { door, signed: true });
            }
        }
    }
    Err(refused(Fault::Wrong))
}

/// The refusal of a call without a signature, where one is demanded.
pub(crate) fn unsigned() -> Refusal {
    let message = "the call must be signed: send X-Signature: sha256=HEX and X-Timestamp";
    Refusal::new(StatusCode::UNAUTHORIZED, Code::UnsignedRequest, message)
}

/// The refusal of a signature.
pub(crate) fn refused(fault: Fault) -> Refusal {
    let (code, message) = match fault {
        Fault::Missing => {
            (Code::UnsignedRequest, "the signature is not whole: a header of it is missing")
        }
        Fault::Wrong => (
            Code::SignatureRefused,
            "the signature does not fit: check the secret and that the \
             body is signed as it is sent",
        ),
        Fault::Expired => (
            Code::SignatureExpired,
            "the time of the signature is more than five minutes off: \
             check the clock of the sender",
        ),
    };
    Refusal::new(StatusCode::UNAUTHORIZED, code, message)
}
