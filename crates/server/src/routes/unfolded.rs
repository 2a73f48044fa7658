//! A body made of one future after the other: each gives some bytes and what the next one starts
//! from.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::body::{Bytes, HttpBody};
use hyper::body::Frame;

type Step<T> = Pin<Box<dyn Future<Output = Option<(Bytes, T)>> + Send>>;

/// A body whose next part is asked for only when there is room for it.
pub(super) struct Unfolded<T, F> {
    step: Option<Step<T>>,
    next: F,
}

impl<T, F, Fut> Unfolded<T, F>
where
    F: Fn(T) -> Fut,
    Fut: Future<Output = Option<(Bytes, T)>> + Send + 'static,
{
    pub(super) fn new(first: T, next: F) -> Self {
        Self { step: Some(Box::pin(next(first))), next }
    }
}

impl<T, F, Fut> HttpBody for Unfolded<T, F>
where
    F: Fn(T) -> Fut + Unpin,
    Fut: Future<Output = Option<(Bytes, T)>> + Send + 'static,
{
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let Some(step) = self.step.as_mut() else { return Poll::Ready(None) };
        let done = ready!(step.as_mut().poll(context));
        self.step = None;
        let Some((bytes, rest)) = done else { return Poll::Ready(None) };
        let step = Box::pin((self.next)(rest));
        self.step = Some(step);
        Poll::Ready(Some(Ok(Frame::data(bytes))))
    }
}
