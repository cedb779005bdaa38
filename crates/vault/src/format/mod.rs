//! What a vault's bytes say: records, the header, its key slots. Pure.

pub(crate) mod header;
mod host_key;
pub(crate) mod id;
pub(crate) mod record;
pub(crate) mod row;
pub(crate) mod slot;
