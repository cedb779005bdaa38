//! How a pool rotates: as its provider is configured, and as one request has it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use provider_auth_policy::Rotation;
use serde_json::Value;

use super::error::ConfigError;
use super::keys::Context;
use super::provider::{Provenance, Provider};
use super::provider_keys::RotationKeys;
use super::tree::{Node, from_option};

impl RotationKeys {
    /// What is set here, over what holds without it.
    pub(super) fn over(&self, base: &Rotation) -> Rotation {
        Rotation {
            mode: self.mode.unwrap_or(base.mode),
            strategy: self.strategy.unwrap_or(base.strategy),
            rotate: self.rotate.unwrap_or(base.rotate),
            // Who says that the pool rotates means its logins too.
            pool_logins: self.rotate.unwrap_or(base.pool_logins),
            max_attempts: self
                .max_attempts
                .and_then(|most| u32::try_from(most).ok())
                .or(base.max_attempts),
            max_wait: self
                .max_wait_ms
                .map_or(base.max_wait, Duration::from_millis),
            hold_until_reset: self.hold_until_reset.unwrap_or(base.hold_until_reset),
        }
    }
}

/// What requests set of the rotation of their pool, over what is configured. The caller is a
/// program of the user's, so it counts like their own configuration.
pub struct RequestRotation {
    keys: RotationKeys,
    /// The provider that it was last laid over, and what came of it: one that makes many requests
    /// makes them to one provider, and to copy that for each takes longer than to choose.
    laid: Mutex<Option<(Arc<Provider>, Arc<Provider>)>>,
}

impl RequestRotation {
    /// Reads the option `rotation` of a request. A key that it does not know is left out.
    pub fn read(value: &Value) -> Result<Self, ConfigError> {
        let node: Node = from_option("rotation", value);
        let mut context = Context {
            from: &Provenance::Inline,
            warnings: &mut Vec::new(),
            further: &mut Vec::new(),
        };
        Ok(Self {
            keys: RotationKeys::read(&node, &mut context)?,
            laid: Mutex::default(),
        })
    }

    /// The provider as these requests see it.
    pub(crate) fn over(&self, provider: &Arc<Provider>) -> Arc<Provider> {
        let mut laid = self.laid.lock();
        if let Some((base, made)) = &*laid
            && Arc::ptr_eq(base, provider)
        {
            return made.clone();
        }
        let made = Arc::new(Provider {
            rotation: self.keys.over(&provider.rotation),
            ..(**provider).clone()
        });
        *laid = Some((provider.clone(), made.clone()));
        made
    }
}

impl fmt::Debug for RequestRotation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RequestRotation")
            .field(&self.keys.over(&Rotation::default()))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A provider whose terms do not offer that its logins stand in for one another.
    fn of_plans() -> Rotation {
        Rotation {
            pool_logins: false,
            ..Rotation::default()
        }
    }

    #[test]
    fn who_says_that_a_pool_rotates_means_its_logins_too() {
        for (rotation, rotates, pools_logins) in [
            (json!({}), true, false),
            (json!({ "mode": "api" }), true, false),
            (json!({ "rotate": true }), true, true),
            (json!({ "rotate": false }), false, false),
        ] {
            let laid = RequestRotation::read(&rotation).unwrap();
            let laid = laid.keys.over(&of_plans());
            assert_eq!((laid.rotate, laid.pool_logins), (rotates, pools_logins));
        }
    }

    #[test]
    fn what_is_left_out_stays() {
        let base = Rotation {
            max_attempts: Some(3),
            max_wait: Duration::from_secs(5),
            hold_until_reset: true,
            ..of_plans()
        };
        let laid = |rotation: Value| RequestRotation::read(&rotation).unwrap().keys.over(&base);
        assert_eq!(laid(json!({})), base);
        let short = laid(json!({ "maxWaitMs": 0, "holdUntilReset": false }));
        let expected = Rotation {
            max_wait: Duration::ZERO,
            hold_until_reset: false,
            ..base.clone()
        };
        assert_eq!(short, expected);
    }
}
