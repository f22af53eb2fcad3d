//! From the bytes of a picture file to the numbers that the image tower takes.

mod config;
mod damage;
mod details;
mod golden;
mod resizing;
