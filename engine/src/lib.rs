//! A push engine: very many WebSocket clients, pushed to at once.

pub mod api;
pub mod auth;
pub mod config;
pub mod gauges;
pub mod metrics;
pub mod webhook;
