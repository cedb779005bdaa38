//! What the fields of an entry say, each checked.

use provider_auth_oauth::Tokens;
use provider_auth_policy::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use super::object::{NotA, Object};
use crate::config::{Origin, Provider};
use crate::store::HeaderSet;
use crate::store::secret::Secret;

/// Why an entry is not taken over; no word of its values.
pub(super) type Unclear = String;
/// Times below this are in seconds, those above in milliseconds: as milliseconds it is March 1973,
/// as seconds the year 5138.
const LEAST_MILLIS: f64 = 1e11;
/// A URL that a credential may go to, and its origin.
pub(super) fn place(url: &str) -> Result<(Url, Origin), Unclear> {
    let url = Url::parse(url).map_err(|_| "its address is no URL")?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("its address holds a user name or password".to_owned());
    }
    let origin = Origin::of(&url).ok_or("its address is neither https nor on this machine")?;
    Ok((url, origin))
}

/// GitHub serves the seats of an enterprise's own host there, and its tokens belong nowhere else.
pub(super) fn enterprise_origin(provider: &Provider, host: &str) -> Result<Origin, Unclear> {
    let host = host.trim_start_matches("https://").trim_end_matches('/');
    let origin = format!("https://copilot-api.{host}");
    let known = provider
        .origins
        .iter()
        .find(|known| known.as_str() == origin);
    known.cloned().ok_or_else(|| {
        format!(
            "it is a login at an enterprise's own host: add that host's origin to providers.{}.extraOrigins, and run this again",
            provider.id
        )
    })
}

/// What is stored of tokens of unknown age.
pub(super) fn secret_of(
    tokens: Tokens,
    client_secret: Option<SecretString>,
    ends_at: Option<Timestamp>,
    now: Timestamp,
) -> Result<Secret, Unclear> {
    let has_access = !tokens.access.expose_secret().is_empty();
    if has_access {
        sendable(&tokens.access, "access token")?;
    } else if tokens.refresh.is_none() {
        return Err("it has no token".to_owned());
    }
    let mut secret = Secret::from_login(tokens, client_secret, now);
    if let Secret::Oauth { expires_at, .. } = &mut secret {
        // Without an access token the first request has to bring one.
        *expires_at = if has_access { ends_at } else { Some(now) };
    }
    Ok(secret)
}

/// A time as a number of seconds or milliseconds since the Unix epoch; 0 stands for one that is not
/// known.
pub(super) fn moment(number: f64) -> Option<Timestamp> {
    let millis = if number < LEAST_MILLIS {
        number * 1000.0
    } else {
        number
    };
    (number >= 1.0 && millis.is_finite()).then(|| Timestamp::from_millis(millis as u64))
}

pub(super) fn needed(fields: &Object<'_>, name: &str) -> Result<SecretString, Unclear> {
    let secret = fields.secret(name).map_err(said)?;
    secret.ok_or_else(|| format!("its {name} is missing"))
}

pub(super) fn sendable(secret: &SecretString, what: &str) -> Result<(), Unclear> {
    HeaderSet::check_key(secret).map_err(|_| format!("its {what} cannot be sent in a header"))
}

pub(super) fn said(wrong: NotA) -> Unclear {
    wrong.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_read_in_seconds_and_in_milliseconds() {
        for (number, millis) in [
            (1_800_000_000.0, Some(1_800_000_000_000)),
            (1_800_000_000_000.0, Some(1_800_000_000_000)),
            (1_800_000_000.5, Some(1_800_000_000_500)),
            (0.0, None),
            (-5.0, None),
            (f64::INFINITY, None),
            (f64::NAN, None),
        ] {
            assert_eq!(moment(number).map(Timestamp::as_millis), millis, "{number}");
        }
    }
}
