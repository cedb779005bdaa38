//! Reads what JavaScript passes in.

mod calls;
mod known;
mod objects;
mod options;
mod value;

pub(crate) use calls::{served_report, shown_files};
pub(crate) use known::known;
pub(crate) use options::Options;
pub(crate) use value::{Read, Text, bytes, optional_text, text};
