//! Addresses in image cells: URLs, paths and `data:` URIs.
#![no_main]

use std::path::Path;

use clipgauge::address::Address;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let cell = String::from_utf8_lossy(data);
    if let Ok(Address::Http(url)) = Address::parse(&cell, Path::new("/base")) {
        assert!(matches!(url.scheme(), "http" | "https"), "{url}");
    }
});
