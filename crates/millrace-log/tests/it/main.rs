//! Tests of the log through its public face, on a simulated disk and on a real one.

#[cfg(test)]
mod model;
#[cfg(test)]
mod real;
#[cfg(test)]
mod recovery;
