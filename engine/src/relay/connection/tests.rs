//! Against real servers, and against one that only pretends.

mod links;
mod sign_in;
mod tls;
