//! What the commands about questions share: which ones are open, the run that one of them is in, and
//! how it is answered.

pub(super) mod answering;
pub(super) mod reading;
