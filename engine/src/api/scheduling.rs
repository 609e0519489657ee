//! `/v1/schedules` and `/v1/schedules/{name}`. Knows nothing of when a schedule fires.

use epush_core::error::{ErrorCode, Refusal};
use epush_core::http::Response;
use epush_core::now::Now;
use serde::Serialize;

use super::plan::Plan;
use super::{Api, body, respond};

impl Api {
    pub(super) fn list_schedules(&self, now: Now) -> Response {
        #[derive(Serialize)]
        struct Body<T> {
            schedules: T,
        }
        respond::json(200, &Body { schedules: self.schedules.list(now) })
    }

    pub(super) fn schedule(&self, now: Now, name: &str) -> Result<Response, Refusal> {
        self.schedules.view(now, name).map(|view| respond::json(200, &view)).ok_or_else(|| unknown(name))
    }

    pub(super) fn set_schedule(&mut self, now: Now, name: &str, body: &[u8]) -> Result<Response, Refusal> {
        let key = body::a_word("the schedule's name", name)?;
        let is_new = self.schedules.put(now, key, Plan::parse(body)?)?;
        let mut response = self.schedule(now, name)?;
        response.status = if is_new { 201 } else { 200 };
        Ok(response)
    }

    pub(super) fn end_schedule(&mut self, name: &str) -> Result<Response, Refusal> {
        #[derive(Serialize)]
        struct Body<'a> {
            deleted: &'a str,
        }
        if self.schedules.remove(name) { Ok(respond::json(200, &Body { deleted: name })) } else { Err(unknown(name)) }
    }
}

fn unknown(name: &str) -> Refusal {
    Refusal::new(ErrorCode::NotFound, format!("there is no schedule {name}"))
}
