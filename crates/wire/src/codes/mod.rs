//! Request codes and response codes. The two share numbers: ask for the flag's response bit first.

pub mod request;
pub mod response;
mod table;
