//! A request body that asks whether it may leave when it is about to: connecting may have taken
//! longer than its content is ours to spend.

use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use provider_auth_oauth::LastLook;

/// Bytes that leave whole, or not at all.
pub(super) struct LateBody {
    left: Option<Bytes>,
    look: LastLook,
}

impl LateBody {
    pub(super) fn new(bytes: Vec<u8>, look: LastLook) -> Self {
        Self {
            left: Some(bytes.into()).filter(|bytes: &Bytes| !bytes.is_empty()),
            look,
        }
    }
}

/// The last look said no.
#[derive(Debug)]
pub(super) struct TooLate;

impl fmt::Display for TooLate {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("too late to be sent")
    }
}

impl Error for TooLate {}

impl Body for LateBody {
    type Data = Bytes;
    type Error = TooLate;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, TooLate>>> {
        let may_leave = || (self.look.0)();
        if self.left.is_some() && !may_leave() {
            return Poll::Ready(Some(Err(TooLate)));
        }
        Poll::Ready(self.left.take().map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.left.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left.as_ref().map_or(0, |bytes| bytes.len() as u64))
    }
}

/// Whether this is why a request failed.
pub(super) fn was_too_late(error: &(dyn Error + 'static)) -> bool {
    error.is::<TooLate>() || error.source().is_some_and(was_too_late)
}
