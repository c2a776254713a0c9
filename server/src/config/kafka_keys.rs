//! Kafka's broker settings that have no meaning here: accepted with one warning.

/// Whether Kafka has a broker setting of this name that Millrace does not use.
#[must_use]
pub fn is_kafka_broker_key(name: &str) -> bool {
    KAFKA_ONLY.binary_search(&name).is_ok()
        || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// What does here what some of them do in Kafka.
#[must_use]
pub fn instead(name: &str) -> Option<&'static str> {
    Some(match name {
        "log.dir" | "log.dirs" => "--data-dir says where the data is",
        "num.io.threads" | "num.network.threads" => "--cores says how many shards there are",
        "listener.security.protocol.map" => "listeners are plaintext",
        _ => return None,
    })
}

/// Families of settings, listener-prefixed ones included.
pub(super) const PREFIXES: &[&str] = &[
    "controller.quorum.",
    "group.consumer.",
    "group.coordinator.",
    "group.share.",
    "group.streams.",
    "listener.name.",
    "log.cleaner.",
    "offsets.",
    "password.encoder.",
    "quota.",
    "remote.log.",
    "replica.",
    "sasl.",
    "share.",
    "ssl.",
    "telemetry.",
    "transaction.",
    "zookeeper.",
];

/// All others, sorted.
pub(super) static KAFKA_ONLY: &[&str] = &[
    "add.partitions.to.txn.retry.backoff.max.ms",
    "add.partitions.to.txn.retry.backoff.ms",
    "allow.everyone.if.no.acl.found",
    "alter.config.policy.class.name",
    "alter.log.dirs.replication.quota.window.num",
    "alter.log.dirs.replication.quota.window.size.seconds",
    "authorizer.class.name",
    "auto.include.jmx.reporter",
    "auto.leader.rebalance.enable",
    "background.threads",
    "broker.heartbeat.interval.ms",
    "broker.id.generation.enable",
    "broker.rack",
    "broker.session.timeout.ms",
    "client.quota.callback.class",
    "config.providers",
    "confluent.support.metrics.enable",
    "connection.failed.authentication.delay.ms",
    "connections.max.reauth.ms",
    "control.plane.listener.name",
    "controlled.shutdown.enable",
    "controlled.shutdown.max.retries",
    "controlled.shutdown.retry.backoff.ms",
    "controller.listener.names",
    "controller.performance.always.log.threshold.ms",
    "controller.performance.sample.period.ms",
    "controller.quota.window.num",
    "controller.quota.window.size.seconds",
    "controller.socket.timeout.ms",
    "create.topic.policy.class.name",
    "delegation.token.expiry.check.interval.ms",
    "delegation.token.expiry.time.ms",
    "delegation.token.master.key",
    "delegation.token.max.lifetime.ms",
    "delegation.token.secret.key",
    "delete.records.purgatory.purge.interval.requests",
    "early.start.listeners",
    "eligible.leader.replicas.enable",
    "fetch.purgatory.purge.interval.requests",
    "initial.broker.registration.timeout.ms",
    "inter.broker.listener.name",
    "inter.broker.protocol.version",
    "kafka.metrics.polling.interval.secs",
    "kafka.metrics.reporters",
    "leader.imbalance.check.interval.seconds",
    "leader.imbalance.per.broker.percentage",
    "listener.security.protocol.map",
    "log.dir",
    "log.dir.failure.timeout.ms",
    "log.dirs",
    "log.flush.offset.checkpoint.interval.ms",
    "log.flush.scheduler.interval.ms",
    "log.flush.start.offset.checkpoint.interval.ms",
    "log.initial.task.delay.ms",
    "log.message.downconversion.enable",
    "log.message.format.version",
    "log.message.timestamp.difference.max.ms",
    "log4j.configuration",
    "max.connection.creation.rate",
    "max.connections.per.ip.overrides",
    "max.request.partition.size.limit",
    "metadata.log.dir",
    "metadata.log.max.record.bytes.between.snapshots",
    "metadata.log.max.snapshot.interval.ms",
    "metadata.log.segment.bytes",
    "metadata.log.segment.min.bytes",
    "metadata.log.segment.ms",
    "metadata.max.idle.interval.ms",
    "metadata.max.retention.bytes",
    "metadata.max.retention.ms",
    "metric.reporters",
    "metrics.num.samples",
    "metrics.recording.level",
    "metrics.sample.window.ms",
    "num.io.threads",
    "num.network.threads",
    "num.recovery.threads.per.data.dir",
    "num.replica.alter.log.dirs.threads",
    "num.replica.fetchers",
    "principal.builder.class",
    "process.roles",
    "producer.id.expiration.check.interval.ms",
    "producer.purgatory.purge.interval.requests",
    "queued.max.request.bytes",
    "request.timeout.ms",
    "reserved.broker.max.id",
    "security.inter.broker.protocol",
    "security.providers",
    "server.max.startup.time.ms",
    "socket.connection.setup.timeout.max.ms",
    "socket.connection.setup.timeout.ms",
    "socket.listen.backlog.size",
    "socket.receive.buffer.bytes",
    "socket.send.buffer.bytes",
    "transactional.id.expiration.ms",
    "unclean.leader.election.interval.ms",
    "unstable.api.versions.enable",
    "unstable.feature.versions.enable",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::broker_keys::BROKER_KEYS;

    #[test]
    fn the_list_is_sorted_and_names_nothing_that_has_a_meaning_here() {
        assert!(KAFKA_ONLY.is_sorted_by(|a, b| a < b));
        for key in BROKER_KEYS {
            assert!(KAFKA_ONLY.binary_search(&key.name).is_err(), "{}", key.name);
        }
        assert!(is_kafka_broker_key("num.io.threads"));
        assert!(is_kafka_broker_key("ssl.keystore.location"));
        assert!(!is_kafka_broker_key("num.io.thread"));
    }
}
