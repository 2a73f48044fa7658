//! The stream of a connection as the HTTP parser sees it: requests whose ends are certain, and in
//! place of the first one that is refused a stand-in.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use crate::framing::{Fault, Framing};
use crate::stall::Stalling;

/// How many bytes are read at once.
const READ_BYTES: usize = 8 * 1024;

/// How long a client that was refused may go on sending: a connection that ends with bytes unread
/// may take the answer with it.
pub(crate) const LINGER: Duration = Duration::from_millis(200);

/// A stream on which whole requests arrive.
pub(crate) struct Framed {
    stream: Stalling,
    framing: Framing,
    /// Why a request was refused, for whoever answers what stands in for it.
    fault: Arc<OnceLock<Fault>>,
    /// Where bytes are read to.
    buffer: Box<[u8]>,
    /// What is passed on next, and how much of it has been.
    passed: Vec<u8>,
    given: usize,
    /// Runs while the rest of a refused request is read.
    lingers: Option<Pin<Box<Sleep>>>,
}

impl Framed {
    pub(crate) fn new(stream: Stalling, framing: Framing, fault: Arc<OnceLock<Fault>>) -> Self {
        Self {
            stream,
            framing,
            fault,
            buffer: vec![0; READ_BYTES].into_boxed_slice(),
            passed: Vec::new(),
            given: 0,
            lingers: None,
        }
    }

    /// Reads into the buffer; the number of bytes, 0 at the end.
    fn poll_fill(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut buffer = ReadBuf::new(&mut self.buffer);
        ready!(Pin::new(&mut self.stream).poll_read(context, &mut buffer))?;
        Poll::Ready(Ok(buffer.filled().len()))
    }
}

impl AsyncRead for Framed {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        while this.given == this.passed.len() {
            let refused = this.fault.get().is_some();
            if this.framing.is_over() && !refused {
                return Poll::Ready(Ok(()));
            }
            let read = ready!(this.poll_fill(context))?;
            if refused {
                // The end would cut the answer off; what else comes is of no interest.
                match read {
                    0 => return Poll::Ready(Ok(())),
                    _ => continue,
                }
            }
            this.passed.clear();
            this.given = 0;
            if read == 0 {
                this.framing.end(&mut this.passed);
            } else if let Err(fault) = this.framing.take(&this.buffer[..read], &mut this.passed) {
                // There is one at most: nothing is listened to after it.
                let _first = this.fault.set(fault);
            }
        }
        let left = &this.passed[this.given..];
        let here = &left[..left.len().min(buffer.remaining())];
        buffer.put_slice(here);
        this.given += here.len();
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Framed {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_shutdown(context))?;
        if self.fault.get().is_none() {
            return Poll::Ready(Ok(()));
        }
        let this = &mut *self;
        loop {
            let until = this.lingers.get_or_insert_with(|| Box::pin(sleep(LINGER)));
            if until.as_mut().poll(context).is_ready() {
                return Poll::Ready(Ok(()));
            }
            match ready!(this.poll_fill(context)) {
                Ok(0) | Err(_) => return Poll::Ready(Ok(())),
                Ok(_) => {}
            }
        }
    }
}
