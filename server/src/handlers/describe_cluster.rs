//! DescribeCluster 0-1: the nodes. Authorized operations are left out (no authorizer).

use crate::broker::BrokerShard;
use crate::protocol::ErrorCode;
use crate::protocol::messages::describe_cluster_response::DescribeClusterBroker;
use crate::protocol::messages::{DescribeClusterRequest, DescribeClusterResponse};
use crate::request::{Refusal, Request};
use std::sync::Arc;

/// The endpoint type of brokers; the other one asks for controllers, which have no endpoint.
const BROKERS: i8 = 1;

/// Handles the request.
///
/// # Errors
/// Bytes that are no such request.
pub fn handle(broker: &mut BrokerShard, request: &Request<'_>) -> Result<(), Refusal> {
    let asked: DescribeClusterRequest = request.decode()?;
    let catalog = Arc::clone(&broker.catalog);
    let is_known = asked.endpoint_type == BROKERS;
    let response = DescribeClusterResponse {
        error_code: if is_known {
            ErrorCode::None.code()
        } else {
            ErrorCode::MismatchedEndpointType.code()
        },
        endpoint_type: asked.endpoint_type,
        cluster_id: &catalog.cluster_id,
        controller_id: catalog.controller_id(),
        brokers: catalog
            .nodes
            .iter()
            .map(|node| DescribeClusterBroker {
                broker_id: node.id,
                host: &node.host,
                port: i32::from(node.port),
                rack: None,
            })
            .collect(),
        ..DescribeClusterResponse::default()
    };
    broker.reply(&request.head, &response);
    Ok(())
}
