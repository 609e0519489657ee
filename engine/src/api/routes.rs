//! The paths of the control API and their methods. Knows nothing of what a call does.

/// The path whose bodies arrive line by line.
pub const BATCH_PATH: &str = "/v1/push/batch";

/// One thing the API can do, with the names its path carries.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Call<'a> {
    /// Publish.
    Push,
    /// Publish what one line of a streamed body says.
    PushLine,
    /// Counts.
    Online,
    /// A user's sessions.
    User(&'a str),
    /// Close a user's sessions.
    Kick(&'a str),
    /// A user's muted types.
    Mutes(&'a str),
    /// Replace a user's muted types.
    SetMutes(&'a str),
    /// All channels.
    Channels,
    /// One channel.
    Channel(&'a str),
    /// All schedules.
    Schedules,
    /// One schedule.
    Schedule(&'a str),
    /// Make or replace a schedule.
    SetSchedule(&'a str),
    /// End a schedule.
    EndSchedule(&'a str),
    /// The members of the cluster.
    Nodes,
    /// Start draining.
    Drain,
    /// Liveness.
    Healthz,
    /// Readiness.
    Readyz,
    /// Prometheus page.
    Metrics,
}

/// Why there is no such call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Miss {
    /// Nothing has this path.
    Path,
    /// The path has other methods: these, as `Allow` wants them.
    Method(&'static str),
}

impl<'a> Call<'a> {
    /// The call a request means. `path` is percent-decoded: names in it may contain `/`, and a user's name cannot end in
    /// `/mutes`.
    pub fn find(method: &str, path: &'a str) -> Result<Self, Miss> {
        match path {
            "/v1/push" => post(method, Self::Push),
            BATCH_PATH => post(method, Self::PushLine),
            "/v1/online" => get(method, Self::Online),
            "/v1/channels" => get(method, Self::Channels),
            "/v1/schedules" => get(method, Self::Schedules),
            "/v1/nodes" => get(method, Self::Nodes),
            "/v1/drain" => post(method, Self::Drain),
            "/healthz" => get(method, Self::Healthz),
            "/readyz" => get(method, Self::Readyz),
            "/metrics" => get(method, Self::Metrics),
            _ => named(method, path),
        }
    }

    /// Whether it needs no key: what load balancers ask.
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Healthz | Self::Readyz)
    }
}

fn named<'a>(method: &str, path: &'a str) -> Result<Call<'a>, Miss> {
    let after = |prefix| path.strip_prefix(prefix).filter(|name: &&str| !name.is_empty());
    if let Some(name) = after("/v1/users/") {
        return match name.strip_suffix("/mutes") {
            Some(user) => match method {
                "GET" | "HEAD" => Ok(Call::Mutes(user)),
                "PUT" => Ok(Call::SetMutes(user)),
                _ => Err(Miss::Method("GET, HEAD, PUT")),
            },
            None => match method {
                "GET" | "HEAD" => Ok(Call::User(name)),
                "DELETE" => Ok(Call::Kick(name)),
                _ => Err(Miss::Method("GET, HEAD, DELETE")),
            },
        };
    }
    if let Some(channel) = after("/v1/channels/") {
        return get(method, Call::Channel(channel));
    }
    let Some(schedule) = after("/v1/schedules/") else { return Err(Miss::Path) };
    match method {
        "GET" | "HEAD" => Ok(Call::Schedule(schedule)),
        "PUT" => Ok(Call::SetSchedule(schedule)),
        "DELETE" => Ok(Call::EndSchedule(schedule)),
        _ => Err(Miss::Method("GET, HEAD, PUT, DELETE")),
    }
}

/// RFC 9110 §9.1: HEAD is allowed wherever GET is. The wire leaves the body out.
fn get<'a>(method: &str, call: Call<'a>) -> Result<Call<'a>, Miss> {
    if matches!(method, "GET" | "HEAD") { Ok(call) } else { Err(Miss::Method("GET, HEAD")) }
}

fn post<'a>(method: &str, call: Call<'a>) -> Result<Call<'a>, Miss> {
    if method == "POST" { Ok(call) } else { Err(Miss::Method("POST")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_has_its_methods_and_no_others() {
        let table = [
            ("/v1/push", "POST"),
            ("/v1/push/batch", "POST"),
            ("/v1/online", "GET, HEAD"),
            ("/v1/users/42", "GET, HEAD, DELETE"),
            ("/v1/users/42/mutes", "GET, HEAD, PUT"),
            ("/v1/channels", "GET, HEAD"),
            ("/v1/channels/news", "GET, HEAD"),
            ("/v1/schedules", "GET, HEAD"),
            ("/v1/schedules/tick", "GET, HEAD, PUT, DELETE"),
            ("/v1/nodes", "GET, HEAD"),
            ("/v1/drain", "POST"),
            ("/healthz", "GET, HEAD"),
            ("/readyz", "GET, HEAD"),
            ("/metrics", "GET, HEAD"),
        ];
        for (path, allowed) in table {
            for method in ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "get"] {
                let found = Call::find(method, path);
                if allowed.split(", ").any(|name| name == method) {
                    assert!(found.is_ok(), "{method} {path}");
                } else {
                    assert_eq!(found, Err(Miss::Method(allowed)), "{method} {path}");
                }
            }
        }
    }

    #[test]
    fn names_may_contain_slashes() {
        assert_eq!(Call::find("GET", "/v1/channels/a/b"), Ok(Call::Channel("a/b")));
        assert_eq!(Call::find("DELETE", "/v1/users/https://id/7"), Ok(Call::Kick("https://id/7")));
        assert_eq!(Call::find("GET", "/v1/users/a/b/mutes"), Ok(Call::Mutes("a/b")));
    }

    #[test]
    fn other_paths_are_nothing() {
        for path in ["", "/", "/v1", "/v1/", "/v1/users", "/v1/users/", "/v1/online/", "/V1/online", "/v2/push", "*"] {
            assert_eq!(Call::find("GET", path), Err(Miss::Path), "{path}");
        }
    }
}
