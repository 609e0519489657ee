//! A push engine: very many WebSocket clients, pushed to at once.

pub mod config;
