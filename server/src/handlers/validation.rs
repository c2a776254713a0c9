//! What a topic's configs ask of the single records of a batch: keys (`cleanup.policy=compact`),
//! times (`message.timestamp.before.max.ms`), another codec (`compression.type`).
//!
//! A small batch that is not compressed is looked at where it came. Any other is opened off the
//! data core, with a bound on what may come out. INVARIANT: batches of one partition are appended
//! in the order in which they came, however long their validation takes.

use crate::broker::BrokerShard;
use crate::config::{TimestampType, TopicSettings};
use crate::mail::{HopBytes, HopProduce, Mail};
use crate::net::FrameBytes;
use crate::protocol::ErrorCode;
use crate::slab::SlabKey;
use crate::ticket::{Waiting, ticket};
use crate::topics::catalog::PartitionPlace;
use bytes::Bytes;
use millrace_engine::ids::PartitionHandle;
use millrace_engine::io::{Class, Op, Outcome, Token};
use millrace_engine::record_batch::compression::CompressionError;
use millrace_engine::record_batch::records::Records;
use millrace_engine::record_batch::rewrite::{open, recompress};
use millrace_engine::record_batch::{Compression, Header};
use std::any::Any;
use std::ops::RangeInclusive;

/// What a compressed batch may become when it is opened.
const OPENED_BYTES_MAX: usize = 64 << 20;
/// An uncompressed batch up to this size is walked on the data core.
const WALKED_BYTES_MAX: usize = 64 << 10;

/// What the records of one batch must be.
#[derive(Clone, Debug)]
pub(crate) struct RecordRules {
    header: Header,
    has_keys: bool,
    /// `None`: their times do not matter.
    times: Option<RangeInclusive<i64>>,
    /// The codec they are stored with, if not theirs.
    codec: Option<Compression>,
    batch_bytes_max: usize,
}

/// Records that are named when a batch is refused because of them.
const NAMED_RECORDS_MAX: usize = 1000;

/// What validation of a batch brings: other bytes for it, if it changes.
type Validated = Result<Option<Vec<u8>>, Refused>;

/// Why a batch is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) error: ErrorCode,
    /// The first records at fault, as indexes in the batch (KIP-467); empty when it is the batch.
    pub(crate) records: Vec<i32>,
}

impl From<ErrorCode> for Refused {
    fn from(error: ErrorCode) -> Self {
        let records = Vec::new();
        Self { error, records }
    }
}

impl RecordRules {
    /// What `settings` ask of the records of a checked batch. `None`: nothing.
    pub(crate) fn of(settings: &TopicSettings, header: &Header, now_ms: i64) -> Option<Self> {
        let before_ms_max = settings.timestamp_before_ms_max;
        let is_bounded =
            settings.timestamp_type == TimestampType::Create && before_ms_max != i64::MAX;
        let oldest = now_ms.saturating_sub(before_ms_max);
        let newest = now_ms.saturating_add(settings.timestamp_after_ms_max);
        let rules = Self {
            header: *header,
            has_keys: settings.is_compacted,
            times: is_bounded.then_some(oldest..=newest),
            codec: settings
                .compression
                .filter(|codec| Some(*codec) != header.compression()),
            batch_bytes_max: settings.batch_bytes_max as usize,
        };
        let is_anything = rules.has_keys || rules.times.is_some() || rules.codec.is_some();
        is_anything.then_some(rules)
    }

    /// Whether a data core may do it.
    fn is_light(&self) -> bool {
        self.header.compression() == Some(Compression::None)
            && self.codec.is_none()
            && self.header.batch_bytes as usize <= WALKED_BYTES_MAX
    }

    /// Looks at every record, then compresses them anew if they are to be.
    fn apply(&self, batch: &[u8]) -> Validated {
        let opened = open(&self.header, batch, OPENED_BYTES_MAX).map_err(|error| match error {
            CompressionError::Corrupt { .. } => ErrorCode::CorruptMessage,
            CompressionError::TooLarge { .. } => ErrorCode::MessageTooLarge,
        })?;
        self.look_at_records(&opened)?;
        let Some(codec) = self.codec else {
            return Ok(None);
        };
        match recompress(&self.header, &opened, codec) {
            // KAFKA: the bound holds for what came and for what is stored.
            Ok(made) if made.len() <= self.batch_bytes_max => Ok(Some(made)),
            _ => Err(ErrorCode::MessageTooLarge.into()),
        }
    }

    /// KAFKA: every record at fault is named, so that a client can send the others again.
    fn look_at_records(&self, opened: &[u8]) -> Result<(), Refused> {
        let mut refused: Option<Refused> = None;
        for (index, record) in (0_i32..).zip(Records::new(&self.header, opened)) {
            let record = record.map_err(|_| ErrorCode::InvalidRecord)?;
            if record.offset != self.header.base_offset.saturating_add(i64::from(index)) {
                return Err(ErrorCode::InvalidRecord.into());
            }
            let times = self.times.as_ref();
            // -1 says that the record carries no time.
            let is_late = times
                .is_some_and(|times| record.timestamp >= 0 && !times.contains(&record.timestamp));
            let is_bad = is_late || self.has_keys && record.key.is_none();
            if !is_bad {
                continue;
            }
            let refused = refused.get_or_insert_with(|| ErrorCode::InvalidRecord.into());
            if is_late {
                refused.error = ErrorCode::InvalidTimestamp;
            }
            if refused.records.len() < NAMED_RECORDS_MAX {
                refused.records.push(index);
            }
        }
        refused.map_or(Ok(()), Err)
    }
}

/// A batch whose turn to be appended has not come.
#[derive(Debug)]
pub(crate) struct Validation {
    pub(crate) key: SlabKey,
    pub(crate) item: usize,
    pub(crate) place: PartitionPlace,
    pub(crate) bytes: FrameBytes,
    pub(crate) is_acked: bool,
    /// `None`: it is being looked at.
    pub(crate) result: Option<Result<(), Refused>>,
}

impl BrokerShard {
    /// What must be done with a batch before it may be appended at once: `Ok(false)` nothing more,
    /// `Ok(true)` it must wait its turn (see `validate`).
    pub(crate) fn must_validate(
        &self,
        handle: PartitionHandle,
        rules: Option<&RecordRules>,
        batch: &[u8],
    ) -> Result<bool, Refused> {
        let is_behind = self.validations.iter().any(|it| it.place.handle == handle);
        match rules {
            Some(rules) if rules.is_light() => rules.apply(batch).map(|_| is_behind),
            Some(_) => Ok(true),
            None => Ok(is_behind),
        }
    }

    /// Appends a batch when it was looked at and those of its partition before it were.
    pub(crate) fn validate(&mut self, mut validation: Validation, rules: Option<RecordRules>) {
        match rules.filter(|rules| !rules.is_light()) {
            None => validation.result = Some(Ok(())),
            Some(rules) => {
                let token = Token {
                    class: Class::Broker,
                    key: ticket(Waiting::Produce, validation.key, validation.item).0,
                };
                let bytes = validation.bytes.clone();
                let work = move || -> Box<dyn Any + Send> { Box::new(rules.apply(&bytes)) };
                self.io.submit(token, Op::Work(Box::new(work)));
            }
        }
        self.validations.push_back(validation);
    }

    /// A batch was looked at.
    pub(crate) fn validated(&mut self, key: SlabKey, item: usize, outcome: Outcome) {
        let Outcome::Work(result) = outcome else {
            return;
        };
        let Ok(result) = result.downcast::<Validated>() else {
            return;
        };
        let is_it = |it: &&mut Validation| it.key == key && it.item == item && it.result.is_none();
        let Some(validation) = self.validations.iter_mut().find(is_it) else {
            return;
        };
        validation.result = Some(match *result {
            Ok(Some(made)) => {
                validation.bytes = FrameBytes::Heap(Bytes::from(made));
                Ok(())
            }
            Ok(None) => Ok(()),
            Err(error) => Err(error),
        });
        self.append_validated();
    }

    fn append_validated(&mut self) {
        let mut index = 0;
        while let Some(next) = self.validations.get(index) {
            let handle = next.place.handle;
            let mut before = self.validations.range(..index);
            if next.result.is_none() || before.any(|it| it.place.handle == handle) {
                index += 1;
                continue;
            }
            if let Some(validation) = self.validations.remove(index) {
                self.append_one_validated(validation);
            }
        }
    }

    fn append_one_validated(&mut self, validation: Validation) {
        let (key, item) = (validation.key, validation.item);
        if let Some(Err(refused)) = validation.result {
            let error = refused.error;
            self.produce_refused(key, item, refused);
            return self.produce_result_arrived(key, item, Some(Err(error)));
        }
        let hop = HopProduce {
            ticket: ticket(Waiting::Produce, key, item),
            handle: validation.place.handle,
            bytes: HopBytes::Shared(validation.bytes),
            is_acked: validation.is_acked,
        };
        if validation.place.shard == self.me {
            self.hop_arrived(self.me, hop);
        } else {
            self.send(validation.place.shard, Mail::Produce(hop));
        }
    }
}
