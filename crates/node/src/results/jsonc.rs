//! What a text holds, as `JSON.parse` would make it.

use napi::bindgen_prelude::*;
use napi::{Env, Property};
use provider_auth_broker::config::{Content, Entry, Node};

/// Makes the value. Each key is a property of the object's own, `__proto__` too.
pub(crate) fn plain_value<'env>(env: &'env Env, node: &Node) -> Result<Unknown<'env>> {
    match &node.value {
        Content::Null => Null.into_unknown(env),
        Content::Flag(flag) => flag.into_unknown(env),
        Content::Number(number) => number.into_unknown(env),
        Content::Text(text) => text.as_str().into_unknown(env),
        Content::List(nodes) => {
            let items = nodes.iter().map(|node| plain_value(env, node));
            items.collect::<Result<Vec<_>>>()?.into_unknown(env)
        }
        Content::Object(entries) => {
            let property = |entry: &Entry| {
                let value = plain_value(env, &entry.node)?;
                let property = Property::new().with_name(env, entry.key.as_str())?;
                Ok(property.with_value(&value))
            };
            let properties = entries.iter().map(property).collect::<Result<Vec<_>>>()?;
            let mut object = Object::new(env)?;
            object.define_properties(&properties)?;
            object.into_unknown(env)
        }
    }
}
