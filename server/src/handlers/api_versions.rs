//! ApiVersions 0-4: what can be asked here. An unknown version is answered in version 0 with
//! error 35 (see `broker::dispatch`). Since version 3 the client says its name; nothing needs it.

use super::APIS;
use crate::broker::BrokerShard;
use crate::protocol::ErrorCode;
use crate::protocol::messages::api_versions_response::ApiVersion;
use crate::protocol::messages::{ApiVersionsRequest, ApiVersionsResponse};
use crate::request::{Refusal, Request, RequestHead};

/// Handles the request.
///
/// # Errors
/// Bytes that are no such request.
pub fn handle(broker: &mut BrokerShard, request: &Request<'_>) -> Result<(), Refusal> {
    let _: ApiVersionsRequest<'_> = request.decode()?;
    respond(broker, &request.head, ErrorCode::None);
    Ok(())
}

/// Answers with the table, in `head.version`.
pub fn respond(broker: &mut BrokerShard, head: &RequestHead, error: ErrorCode) {
    let response = ApiVersionsResponse {
        error_code: error.code(),
        api_keys: APIS
            .iter()
            .map(|api| ApiVersion {
                api_key: api.key.key(),
                min_version: api.listed_min,
                max_version: api.max,
            })
            .collect(),
        ..ApiVersionsResponse::default()
    };
    broker.reply(head, &response);
}
