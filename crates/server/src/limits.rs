//! What bounds a client.

use std::time::Duration;

/// What bounds a client. The defaults suit everything but a test.
#[derive(Debug, Clone)]
pub struct ClientLimits {
    /// Connections of operators at the same time.
    pub connections: usize,
    /// Connections of sessions, and of callers that are refused, at the same time. They do not
    /// count as operators'.
    pub session_connections: usize,
    /// Most header fields in a request.
    pub headers: usize,
    /// Most bytes before the body of a request.
    pub header_bytes: usize,
    /// Most bytes in the body of a request.
    pub body_bytes: usize,
    /// How long a client may take for the head of a request, and how long it may be silent between
    /// two.
    pub header_time: Duration,
    /// How long a client may take for the body of a request.
    pub body_time: Duration,
    /// How long a client may leave an answer unread.
    pub write_time: Duration,
    /// How long the engine may take to answer before the client gets a timeout.
    pub answer_time: Duration,
    /// Silence in a stream of events after which a comment shows that the connection is alive.
    pub heartbeat: Duration,
    /// How long requests may take to end once the server is to stop.
    pub drain: Duration,
}

impl Default for ClientLimits {
    fn default() -> Self {
        Self {
            connections: 256,
            session_connections: 64,
            headers: 64,
            header_bytes: 32 * 1024,
            body_bytes: 4 * 1024 * 1024,
            header_time: Duration::from_secs(10),
            body_time: Duration::from_secs(10),
            write_time: Duration::from_secs(30),
            answer_time: Duration::from_secs(30),
            heartbeat: Duration::from_secs(15),
            drain: Duration::from_secs(3),
        }
    }
}
