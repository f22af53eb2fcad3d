//! The operations that encoders are made of.
