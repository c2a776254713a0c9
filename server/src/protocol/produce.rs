//! Produce without a message in memory: a cursor over requests, a writer of responses.
//!
//! The cursor needs only the bytes around the records, so that a connection can receive the
//! records themselves elsewhere, and it can go on behind them. Neither allocates.

use std::ops::Range;

use super::api_key::ApiKey;
use super::error::{DecodeError, DecodeFault, EncodeError};
use super::header::{RequestHeader, ResponseHeader};
use super::message::{close_frame, open_frame};
use super::primitives::{Version, Wire, put_long_length, put_no_tags};
use super::reader::Reader;
use super::sink::Sink;

/// Some bytes of a frame: those from `position` on that are in memory.
#[derive(Debug, Clone, Copy)]
pub struct Piece<'a> {
    /// The bytes.
    pub bytes: &'a [u8],
    /// Where in the frame (after its size) the first of them lies.
    pub position: usize,
}

/// What a cursor found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step<'a> {
    /// The piece ends before the next thing does; ask again with a longer piece.
    NeedMore,
    /// A topic begins.
    Topic {
        /// Its name.
        name: &'a str,
        /// How many partitions of it follow.
        partition_count: usize,
    },
    /// A partition of the topic; the cursor stands behind its records.
    Partition {
        /// Its index.
        index: i32,
        /// Where in the frame its records lie, whether in memory or not; `None` if null.
        records: Option<Range<usize>>,
    },
    /// The request is complete; bytes behind it in the frame are ignored.
    End,
}

/// What a Produce request says before its topics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Start<'a> {
    /// The request's header.
    pub header: RequestHeader<'a>,
    /// The transaction, if any.
    pub transactional_id: Option<&'a str>,
    /// 0: no response, 1 or -1: a response when the records are as durable as the topic says.
    pub acks: i16,
    /// How long the client waits.
    pub timeout_ms: i32,
    /// How many topics follow.
    pub topic_count: usize,
}

/// Walks over a Produce request.
#[derive(Debug, Clone)]
pub struct ProduceCursor {
    v: Version,
    frame_bytes: usize,
    position: usize,
    topics_left: usize,
    partitions_left: usize,
    // What ends with tagged fields before the next thing begins.
    open: Open,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Open {
    Request,
    Topic,
    Partition,
}

impl ProduceCursor {
    /// Reads the start of a Produce frame of `frame_bytes` (without its size) from its first
    /// bytes, header included. `None` asks for more bytes.
    ///
    /// # Errors
    /// When the bytes are not the start of a Produce request in a version the codec knows.
    pub fn begin(
        bytes: &[u8],
        frame_bytes: usize,
    ) -> Result<Option<(Start<'_>, Self)>, DecodeError> {
        let beyond = frame_bytes.saturating_sub(bytes.len());
        let bytes = bytes.get(..frame_bytes).unwrap_or(bytes);
        let mut reader = Reader::partial(bytes, 0, beyond);
        received(read_start(&mut reader).map(|start| {
            let cursor = Self {
                v: start.header.version(),
                frame_bytes,
                position: reader.position(),
                topics_left: start.topic_count,
                partitions_left: 0,
                open: Open::Request,
            };
            (start, cursor)
        }))
    }

    /// The version of the request.
    #[must_use]
    pub const fn version(&self) -> Version {
        self.v
    }

    /// Where in the frame the cursor stands: the first byte it needs in the next piece.
    #[must_use]
    pub const fn position(&self) -> usize {
        self.position
    }

    /// Reads the next thing from a piece of the frame that covers the cursor's position.
    ///
    /// # Errors
    /// When the bytes are not a Produce request. The cursor stays where it was.
    pub fn next<'a>(&mut self, piece: Piece<'a>) -> Result<Step<'a>, DecodeError> {
        let Some(bytes) = self
            .position
            .checked_sub(piece.position)
            .and_then(|read| piece.bytes.get(read..))
        else {
            return Ok(Step::NeedMore);
        };
        let left = self.frame_bytes.saturating_sub(self.position);
        let bytes = bytes.get(..left).unwrap_or(bytes);
        let beyond = left.saturating_sub(bytes.len());
        let mut reader = Reader::partial(bytes, self.position, beyond);
        let mut ahead = self.clone();
        let step = received(ahead.read_step(&mut reader))?;
        let Some(step) = step else {
            return Ok(Step::NeedMore);
        };
        *self = ahead;
        Ok(step)
    }

    fn read_step<'a>(&mut self, reader: &mut Reader<'a>) -> Result<Step<'a>, DecodeError> {
        loop {
            match self.open {
                Open::Partition => {
                    reader.skip_tagged_fields(self.v, PARTITION)?;
                    self.open = Open::Topic;
                }
                Open::Topic if self.partitions_left > 0 => return self.read_partition(reader),
                Open::Topic => {
                    reader.skip_tagged_fields(self.v, TOPIC)?;
                    self.open = Open::Request;
                }
                Open::Request if self.topics_left > 0 => return self.read_topic(reader),
                Open::Request => {
                    reader.skip_tagged_fields(self.v, "ProduceRequest")?;
                    self.position = reader.position();
                    return Ok(Step::End);
                }
            }
        }
    }

    fn read_topic<'a>(&mut self, reader: &mut Reader<'a>) -> Result<Step<'a>, DecodeError> {
        let name = Wire::read(reader, self.v, "ProduceRequest.topic_data.name")?;
        let partition_count = read_count(reader, self.v, 5, PARTITION)?;
        self.topics_left = self.topics_left.saturating_sub(1);
        self.partitions_left = partition_count;
        self.open = Open::Topic;
        self.position = reader.position();
        Ok(Step::Topic {
            name,
            partition_count,
        })
    }

    fn read_partition<'a>(&mut self, reader: &mut Reader<'a>) -> Result<Step<'a>, DecodeError> {
        let index = Wire::read(
            reader,
            self.v,
            "ProduceRequest.topic_data.partition_data.index",
        )?;
        let length = reader.long_length(self.v, RECORDS)?;
        let start = reader.position();
        let needed = length.unwrap_or(0);
        let remaining = reader.remaining();
        if needed > remaining {
            return Err(reader.error(RECORDS, DecodeFault::Truncated { needed, remaining }));
        }
        let end = start.saturating_add(needed);
        self.partitions_left = self.partitions_left.saturating_sub(1);
        self.open = Open::Partition;
        self.position = end;
        Ok(Step::Partition {
            index,
            records: length.map(|_| start..end),
        })
    }
}

const TOPIC: &str = "ProduceRequest.topic_data";
const PARTITION: &str = "ProduceRequest.topic_data.partition_data";
const RECORDS: &str = "ProduceRequest.topic_data.partition_data.records";

fn read_start<'a>(reader: &mut Reader<'a>) -> Result<Start<'a>, DecodeError> {
    let header = RequestHeader::decode(reader)?;
    let (min, max) = ApiKey::Produce.versions();
    let version = header.api_version;
    if header.api_key != ApiKey::Produce {
        let key = header.api_key.key();
        return Err(reader.error("ProduceRequest", DecodeFault::ApiKey { key }));
    }
    if version < min || version > max {
        return Err(reader.error("ProduceRequest", DecodeFault::Version { version, min, max }));
    }
    let v = header.version();
    Ok(Start {
        header,
        transactional_id: Wire::read(reader, v, "ProduceRequest.transactional_id")?,
        acks: Wire::read(reader, v, "ProduceRequest.acks")?,
        timeout_ms: Wire::read(reader, v, "ProduceRequest.timeout_ms")?,
        topic_count: read_count(reader, v, 2, TOPIC)?,
    })
}

fn read_count(
    reader: &mut Reader<'_>,
    v: Version,
    size_min: usize,
    field: &'static str,
) -> Result<usize, DecodeError> {
    let fault = DecodeFault::Null { version: v.number };
    reader
        .count(v, size_min, field)?
        .ok_or_else(|| reader.error(field, fault))
}

/// Turns "not received yet" into `None`.
fn received<T>(result: Result<T, DecodeError>) -> Result<Option<T>, DecodeError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(DecodeError {
            fault: DecodeFault::NotReceived { .. },
            ..
        }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The first partition of a Produce request, found in the first bytes of its frame.
#[derive(Debug, Clone)]
pub struct FirstRecords<'a> {
    /// What comes before the topics.
    pub start: Start<'a>,
    /// The topic of the first partition.
    pub topic_name: &'a str,
    /// How many partitions of this topic the request has.
    pub partition_count: usize,
    /// The index of the first partition.
    pub partition_index: i32,
    /// Where in the frame its records lie; `None` if null.
    pub records: Option<Range<usize>>,
    /// Stands behind the records; reads the rest of the frame.
    pub cursor: ProduceCursor,
}

/// Finds the first partition's records in the first bytes of a Produce frame of `frame_bytes`
/// (without its size). `None` asks for more bytes, or says that there is no partition when all
/// bytes of the frame are here.
///
/// # Errors
/// When the bytes are not the start of a Produce request in a version the codec knows.
pub fn first_records(
    bytes: &[u8],
    frame_bytes: usize,
) -> Result<Option<FirstRecords<'_>>, DecodeError> {
    let Some((start, mut cursor)) = ProduceCursor::begin(bytes, frame_bytes)? else {
        return Ok(None);
    };
    let piece = Piece { bytes, position: 0 };
    let mut topic = None;
    loop {
        match cursor.next(piece)? {
            Step::NeedMore | Step::End => return Ok(None),
            Step::Topic {
                name,
                partition_count,
            } => topic = Some((name, partition_count)),
            Step::Partition {
                index: partition_index,
                records,
            } => {
                return Ok(topic.map(|(topic_name, partition_count)| FirstRecords {
                    start,
                    topic_name,
                    partition_count,
                    partition_index,
                    records,
                    cursor,
                }));
            }
        }
    }
}

/// What a Produce response says of a partition.
#[derive(Debug, Clone, Copy)]
pub struct ProducedPartition<'a> {
    /// The partition.
    pub index: i32,
    /// 0, or why nothing was appended.
    pub error_code: i16,
    /// The offset of the first record.
    pub base_offset: i64,
    /// The time given to the records by the broker, or -1.
    pub log_append_time_ms: i64,
    /// The first offset that may be read.
    pub log_start_offset: i64,
    /// The records that caused the error, as indexes in the batch; none when it is the batch.
    pub refused_records: &'a [i32],
    /// More about the error.
    pub error_message: Option<&'a str>,
}

/// Writes a Produce response partition by partition. Counts must be kept: `finish` checks them.
#[derive(Debug)]
pub struct ProduceResponseWriter<'s, S> {
    sink: &'s mut S,
    v: Version,
    start: usize,
    topics_left: usize,
    partitions_left: usize,
    is_in_topic: bool,
}

impl<'s, S: Sink> ProduceResponseWriter<'s, S> {
    /// Begins a frame with size and header.
    ///
    /// # Errors
    /// When the codec does not know the version or the sink is full.
    pub fn begin(
        sink: &'s mut S,
        version: i16,
        correlation_id: i32,
        topic_count: usize,
    ) -> Result<Self, EncodeError> {
        let v = known_version(ApiKey::Produce, "ProduceResponse", version)?;
        let start = open_frame(sink)?;
        ResponseHeader { correlation_id }.encode(sink, ApiKey::Produce, version)?;
        put_long_length(sink, v, topic_count, "ProduceResponse.responses")?;
        Ok(Self {
            sink,
            v,
            start,
            topics_left: topic_count,
            partitions_left: 0,
            is_in_topic: false,
        })
    }

    /// Begins a topic.
    ///
    /// # Errors
    /// When the topic before lacks partitions, all topics are written, or the sink is full.
    pub fn topic(&mut self, name: &str, partition_count: usize) -> Result<(), EncodeError> {
        self.end_topic()?;
        self.topics_left = one_less(self.topics_left, "ProduceResponse.responses")?;
        name.write(self.sink, self.v, "ProduceResponse.responses.name")?;
        put_long_length(self.sink, self.v, partition_count, RESPONSES)?;
        self.partitions_left = partition_count;
        self.is_in_topic = true;
        Ok(())
    }

    /// Writes a partition of the topic.
    ///
    /// # Errors
    /// When all partitions of the topic are written, or the sink is full.
    pub fn partition(&mut self, partition: &ProducedPartition<'_>) -> Result<(), EncodeError> {
        self.partitions_left = one_less(self.partitions_left, RESPONSES)?;
        let Self { sink, v, .. } = self;
        partition.index.write(*sink, *v, RESPONSES)?;
        partition.error_code.write(*sink, *v, RESPONSES)?;
        partition.base_offset.write(*sink, *v, RESPONSES)?;
        partition.log_append_time_ms.write(*sink, *v, RESPONSES)?;
        if v.number >= 5 {
            partition.log_start_offset.write(*sink, *v, RESPONSES)?;
        }
        if v.number >= 8 {
            put_long_length(*sink, *v, partition.refused_records.len(), RESPONSES)?;
            for index in partition.refused_records {
                index.write(*sink, *v, RESPONSES)?;
                // The partition's message says it for each of them.
                None::<&str>.write(*sink, *v, RESPONSES)?;
                put_no_tags(*sink, *v)?;
            }
            partition.error_message.write(*sink, *v, RESPONSES)?;
        }
        put_no_tags(*sink, *v)
    }

    /// Ends the response and writes the frame's size.
    ///
    /// # Errors
    /// When topics or partitions are missing, or the sink is full.
    pub fn finish(mut self, throttle_time_ms: i32) -> Result<(), EncodeError> {
        self.end_topic()?;
        none_left(self.topics_left, "ProduceResponse.responses")?;
        throttle_time_ms.write(self.sink, self.v, "ProduceResponse.throttle_time_ms")?;
        put_no_tags(self.sink, self.v)?;
        close_frame(self.sink, self.start, 0)
    }

    fn end_topic(&mut self) -> Result<(), EncodeError> {
        none_left(self.partitions_left, RESPONSES)?;
        if std::mem::take(&mut self.is_in_topic) {
            put_no_tags(self.sink, self.v)?;
        }
        Ok(())
    }
}

const RESPONSES: &str = "ProduceResponse.responses.partition_responses";

pub(super) fn known_version(
    api: ApiKey,
    message: &'static str,
    version: i16,
) -> Result<Version, EncodeError> {
    let (min, max) = api.versions();
    if version < min || version > max {
        return Err(EncodeError::Version {
            message,
            version,
            min,
            max,
        });
    }
    Ok(api.version(version))
}

/// One element fewer is left of those announced.
pub(super) fn one_less(left: usize, field: &'static str) -> Result<usize, EncodeError> {
    left.checked_sub(1).ok_or(EncodeError::TooMany { field })
}

/// All elements announced are written.
pub(super) fn none_left(left: usize, field: &'static str) -> Result<(), EncodeError> {
    if left == 0 {
        Ok(())
    } else {
        Err(EncodeError::Missing { field, left })
    }
}
