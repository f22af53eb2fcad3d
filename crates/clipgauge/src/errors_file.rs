//! The list of rows that failed: `row,url,kind,message`.
