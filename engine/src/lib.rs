//! A push engine: very many WebSocket clients, pushed to at once.

pub mod auth;
pub mod config;
pub mod webhook;
