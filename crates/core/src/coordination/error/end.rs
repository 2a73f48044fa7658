//! Why a recorded end of a coordination cannot follow.

/// What a recorded end may not say, beside what a decision may not either.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(in crate::coordination) enum IllegalEnd {
    #[error("sessions are bound")]
    SessionsBound,
    #[error("its usage, totals or verdict are not those of the stream")]
    OtherSums,
}
