//! Coordination engine.
