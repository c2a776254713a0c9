//! OffsetFetch 1-8: what groups have committed, durably. Version 2 can ask for all partitions,
//! 5 adds the leader epoch, 7 asks for stable offsets (there are no transactions that could make
//! one unstable), 8 asks for several groups.

use super::group_questions::{GroupAnswer, PlacedAnswers};
use crate::broker::BrokerShard;
use crate::groups::committed_offsets::CommittedOffset;
use crate::net::FrameBytes;
use crate::protocol::messages::offset_fetch_request::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
};
use crate::protocol::messages::offset_fetch_response::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions,
    OffsetFetchResponseTopic, OffsetFetchResponseTopics,
};
use crate::protocol::messages::{OffsetFetchRequest, OffsetFetchResponse};
use crate::protocol::{ErrorCode, List};
use crate::request::{Refusal, Request, RequestHead, decode_again};

const TOP_ERROR_VERSION: i16 = 2;
const GROUPS_VERSION: i16 = 8;

/// Handles the request.
///
/// # Errors
/// Bytes that are no such request.
pub fn handle(broker: &mut BrokerShard, request: &Request<'_>) -> Result<(), Refusal> {
    let asked: OffsetFetchRequest<'_> = request.decode()?;
    let groups = groups(&asked, request.head.version);
    let names = groups.iter().map(|group| group.group_id);
    broker.ask_coordinators(request, names, respond)
}

/// The groups asked for, in one form for all versions.
fn groups<'a>(asked: &OffsetFetchRequest<'a>, version: i16) -> Vec<OffsetFetchRequestGroup<'a>> {
    if version >= GROUPS_VERSION {
        return asked.groups.to_vec();
    }
    let topics = asked.topics.as_ref().map(|topics| {
        let topics = topics.iter();
        topics
            .map(
                |OffsetFetchRequestTopic {
                     name,
                     partition_indexes,
                 }| OffsetFetchRequestTopics {
                    name,
                    partition_indexes,
                },
            )
            .collect()
    });
    vec![OffsetFetchRequestGroup {
        group_id: asked.group_id,
        topics,
    }]
}

/// The coordinator's answers.
pub fn answer(
    broker: &BrokerShard,
    (frame, version): (&FrameBytes, i16),
    places: &[u32],
) -> Option<PlacedAnswers> {
    let asked = decode_again::<OffsetFetchRequest<'_>>(frame).ok()?;
    let groups = groups(&asked, version);
    let answers = places.iter().map(|place| {
        let group = groups.get(*place as usize);
        let answer = group.map(|group| answer_one(broker, group));
        (
            *place,
            answer.unwrap_or(GroupAnswer::Error(ErrorCode::InvalidRequest)),
        )
    });
    Some(answers.collect())
}

fn answer_one(broker: &BrokerShard, asked: &OffsetFetchRequestGroup<'_>) -> GroupAnswer {
    let group = match broker.groups.coordinator.committed(asked.group_id) {
        Ok(group) => group,
        Err(error) => return GroupAnswer::Error(error),
    };
    let Some(topics) = &asked.topics else {
        let all = group.into_iter().flat_map(|group| group.all_offsets());
        return GroupAnswer::AllOffsets(
            all.map(|(topic, partition, offset)| (topic.clone(), partition, offset.clone()))
                .collect(),
        );
    };
    let mut found = Vec::new();
    for topic in topics {
        for partition in &topic.partition_indexes {
            let offset = group.and_then(|group| group.offset(topic.name, partition));
            found.push(offset.cloned());
        }
    }
    GroupAnswer::Offsets(found)
}

fn respond(
    broker: &mut BrokerShard,
    head: &RequestHead,
    frame: &FrameBytes,
    answers: &[GroupAnswer],
) {
    let Ok(asked) = decode_again::<OffsetFetchRequest<'_>>(frame) else {
        return;
    };
    let groups = groups(&asked, head.version);
    let groups = groups.iter().zip(answers);
    let groups: Vec<_> = groups
        .map(|(group, answer)| group_response(group, answer))
        .collect();
    if head.version >= GROUPS_VERSION {
        let response = OffsetFetchResponse {
            groups: groups.into(),
            ..OffsetFetchResponse::default()
        };
        return broker.reply(head, &response);
    }
    let group = groups.into_iter().next().unwrap_or_default();
    // KAFKA: version 1 has no error of the whole; each partition carries it.
    let each = if head.version < TOP_ERROR_VERSION {
        group.error_code
    } else {
        0
    };
    let topics = if group.topics.is_empty() && each != 0 {
        with_error(asked.topics.as_ref(), each)
    } else {
        group.topics.iter().map(older_topic).collect()
    };
    let response = OffsetFetchResponse {
        topics,
        error_code: group.error_code,
        ..OffsetFetchResponse::default()
    };
    broker.reply(head, &response);
}

fn with_error<'a>(
    topics: Option<&List<'a, OffsetFetchRequestTopic<'a>>>,
    error_code: i16,
) -> List<'a, OffsetFetchResponseTopic<'a>> {
    let topics = topics.into_iter().flat_map(List::iter);
    topics
        .map(|topic| OffsetFetchResponseTopic {
            name: topic.name,
            partitions: topic
                .partition_indexes
                .iter()
                .map(|partition_index| OffsetFetchResponsePartition {
                    partition_index,
                    committed_offset: -1,
                    metadata: Some(""),
                    error_code,
                    ..OffsetFetchResponsePartition::default()
                })
                .collect(),
        })
        .collect()
}

fn older_topic(topic: OffsetFetchResponseTopics<'_>) -> OffsetFetchResponseTopic<'_> {
    let partitions = topic.partitions.iter();
    OffsetFetchResponseTopic {
        name: topic.name,
        partitions: partitions
            .map(|it| OffsetFetchResponsePartition {
                partition_index: it.partition_index,
                committed_offset: it.committed_offset,
                committed_leader_epoch: it.committed_leader_epoch,
                metadata: it.metadata,
                error_code: it.error_code,
            })
            .collect(),
    }
}

fn group_response<'a>(
    asked: &OffsetFetchRequestGroup<'a>,
    answer: &'a GroupAnswer,
) -> OffsetFetchResponseGroup<'a> {
    let (topics, error) = match answer {
        GroupAnswer::Offsets(found) => (topics_asked(asked, found), ErrorCode::None),
        GroupAnswer::AllOffsets(all) => (all_topics(all), ErrorCode::None),
        GroupAnswer::Error(error) => (List::new(), *error),
        GroupAnswer::Described(_) | GroupAnswer::Listed(_) => {
            (List::new(), ErrorCode::UnknownServerError)
        }
    };
    OffsetFetchResponseGroup {
        group_id: asked.group_id,
        topics,
        error_code: error.code(),
    }
}

fn topics_asked<'a>(
    asked: &OffsetFetchRequestGroup<'a>,
    found: &'a [Option<CommittedOffset>],
) -> List<'a, OffsetFetchResponseTopics<'a>> {
    let mut found = found.iter();
    let topics = asked.topics.iter().flatten();
    topics
        .map(|topic| {
            let partitions = topic.partition_indexes.iter();
            OffsetFetchResponseTopics {
                name: topic.name,
                partitions: partitions
                    .map(|index| partition(index, found.next().and_then(Option::as_ref)))
                    .collect(),
            }
        })
        .collect()
}

fn all_topics(
    all: &[(std::sync::Arc<str>, i32, CommittedOffset)],
) -> List<'_, OffsetFetchResponseTopics<'_>> {
    all.chunk_by(|(topic, ..), (next, ..)| topic == next)
        .map(|of_topic| OffsetFetchResponseTopics {
            name: of_topic.first().map_or("", |(topic, ..)| topic),
            partitions: of_topic
                .iter()
                .map(|(_, index, offset)| partition(*index, Some(offset)))
                .collect(),
        })
        .collect()
}

fn partition(index: i32, offset: Option<&CommittedOffset>) -> OffsetFetchResponsePartitions<'_> {
    OffsetFetchResponsePartitions {
        partition_index: index,
        committed_offset: offset.map_or(-1, |offset| offset.offset),
        committed_leader_epoch: offset.map_or(-1, |offset| offset.leader_epoch),
        metadata: Some(offset.map_or("", |offset| &offset.metadata)),
        error_code: 0,
    }
}
