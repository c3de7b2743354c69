//! The real binary against faults: of the destination, of the process, of the disk. After each the
//! ledger adds up and agrees with what the destination has taken, and each user's events came in
//! their order.

mod destination;
mod faults;
mod kills;
mod process;
