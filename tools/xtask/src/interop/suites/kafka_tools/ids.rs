//! The ids of Kafka's tools. Every id has a topic of its own, `@T`; the address is `@A`.
//!
//! What a step wants is compared after runs of white space became one blank.

/// One run of one tool.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    /// The class; in `org.apache.kafka.tools` when it has no dot.
    pub(super) class: &'static str,
    /// Arguments, by white space.
    pub(super) args: &'static str,
    /// Standard input.
    pub(super) input: &'static str,
    /// What must be in what it prints.
    pub(super) wants: &'static [&'static str],
    /// What must not be in it.
    pub(super) lacks: &'static [&'static str],
    /// It must end with an error.
    pub(super) is_refused: bool,
}

const fn step(class: &'static str, args: &'static str, wants: &'static [&'static str]) -> Step {
    Step {
        class,
        args,
        input: "",
        wants,
        lacks: &[],
        is_refused: false,
    }
}

const fn input(input: &'static str, step: Step) -> Step {
    Step { input, ..step }
}

const fn lacks(lacks: &'static [&'static str], step: Step) -> Step {
    Step { lacks, ..step }
}

const fn refused(step: Step) -> Step {
    Step {
        is_refused: true,
        ..step
    }
}

const TOPIC: &str = "TopicCommand";
const GROUP: &str = "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand";
const CONSUMER: &str = "org.apache.kafka.tools.consumer.ConsoleConsumer";
const CONFIG: &str = "kafka.admin.ConfigCommand";
const CREATE: Step = step(
    TOPIC,
    "--bootstrap-server @A --create --topic @T --partitions 3 --replication-factor 1",
    &["Created topic @T."],
);
/// Nine records with keys; the partitioner puts some in each partition or not, as it likes.
const SEND: Step = input(
    "k1:v1\nk2:v2\nk3:v3\nk4:v4\nk5:v5\nk6:v6\nk7:v7\nk8:v8\nk9:v9\n",
    step(
        "ConsoleProducer",
        "--bootstrap-server @A --topic @T --reader-property parse.key=true \
         --reader-property key.separator=:",
        &[],
    ),
);
/// A group reads and commits all nine.
const READ: Step = step(
    CONSUMER,
    "--bootstrap-server @A --topic @T --group @T --from-beginning --max-messages 9 \
     --timeout-ms 30000",
    &["v1", "v5", "v9", "Processed a total of 9 messages"],
);

/// Every id with its steps.
pub(super) const IDS: &[(&str, &[Step])] = &[
    (
        "topics-create",
        &[
            step(
                TOPIC,
                "--bootstrap-server @A --create --topic @T --partitions 3 \
                 --replication-factor 1 --config retention.ms=60000",
                &["Created topic @T."],
            ),
            step(
                TOPIC,
                "--bootstrap-server @A --describe --topic @T",
                &[
                    "PartitionCount: 3",
                    "ReplicationFactor: 1",
                    "retention.ms=60000",
                ],
            ),
            refused(step(
                TOPIC,
                "--bootstrap-server @A --create --topic @T --partitions 3",
                &["TopicExistsException"],
            )),
            step(
                TOPIC,
                "--bootstrap-server @A --create --if-not-exists --topic @T",
                &[],
            ),
            refused(step(
                TOPIC,
                "--bootstrap-server @A --create --topic @T-2 --replication-factor 3",
                &["eplication factor"],
            )),
        ],
    ),
    (
        "topics-alter",
        &[
            CREATE,
            step(
                TOPIC,
                "--bootstrap-server @A --alter --topic @T --partitions 5",
                &[],
            ),
            step(
                TOPIC,
                "--bootstrap-server @A --describe --topic @T",
                &["PartitionCount: 5"],
            ),
            refused(step(
                TOPIC,
                "--bootstrap-server @A --alter --topic @T --partitions 2",
                &["InvalidPartitionsException"],
            )),
        ],
    ),
    (
        "topics-delete",
        &[
            CREATE,
            step(TOPIC, "--bootstrap-server @A --list", &["@T"]),
            step(TOPIC, "--bootstrap-server @A --delete --topic @T", &[]),
            lacks(&["@T"], step(TOPIC, "--bootstrap-server @A --list", &[])),
            refused(step(
                TOPIC,
                "--bootstrap-server @A --describe --topic @T",
                &["does not exist"],
            )),
        ],
    ),
    (
        "topics-unavailable",
        &[
            CREATE,
            lacks(
                &["Partition:"],
                step(
                    TOPIC,
                    "--bootstrap-server @A --describe --topic @T --unavailable-partitions",
                    &[],
                ),
            ),
            lacks(
                &["Partition:"],
                step(
                    TOPIC,
                    "--bootstrap-server @A --describe --topic @T --under-replicated-partitions",
                    &[],
                ),
            ),
        ],
    ),
    (
        "console",
        &[
            CREATE,
            SEND,
            step(
                CONSUMER,
                "--bootstrap-server @A --topic @T --from-beginning --max-messages 9 \
                 --timeout-ms 30000 --formatter-property print.key=true",
                &["k1 v1", "k5 v5", "k9 v9", "Processed a total of 9 messages"],
            ),
        ],
    ),
    (
        "console-auto-create",
        &[
            input(
                "a\n",
                step("ConsoleProducer", "--bootstrap-server @A --topic @T", &[]),
            ),
            step(
                CONSUMER,
                "--bootstrap-server @A --topic @T --partition 0 --offset earliest \
                 --max-messages 1 --timeout-ms 30000",
                &["Processed a total of 1 messages"],
            ),
        ],
    ),
    (
        "console-codecs",
        &[
            CREATE,
            input(
                "gzip-line\n",
                step(
                    "ConsoleProducer",
                    "--bootstrap-server @A --topic @T --compression-codec gzip",
                    &[],
                ),
            ),
            input(
                "zstd-line\n",
                step(
                    "ConsoleProducer",
                    "--bootstrap-server @A --topic @T --compression-codec zstd",
                    &[],
                ),
            ),
            step(
                CONSUMER,
                "--bootstrap-server @A --topic @T --from-beginning --max-messages 2 \
                 --timeout-ms 30000",
                &["gzip-line", "zstd-line"],
            ),
        ],
    ),
    (
        "groups-describe",
        &[
            CREATE,
            SEND,
            READ,
            step(GROUP, "--bootstrap-server @A --list", &["@T"]),
            step(GROUP, "--bootstrap-server @A --list --state Empty", &["@T"]),
            step(
                GROUP,
                "--bootstrap-server @A --describe --group @T",
                &["@T @T 0", "@T @T 1", "@T @T 2"],
            ),
            step(
                GROUP,
                "--bootstrap-server @A --describe --group @T --state",
                &["Empty"],
            ),
            step(
                GROUP,
                "--bootstrap-server @A --describe --group @T --members",
                &["has no active members"],
            ),
            step(
                "GroupsCommand",
                "--bootstrap-server @A --list",
                &["@T Classic"],
            ),
        ],
    ),
    (
        "groups-reset-offsets",
        &[
            CREATE,
            SEND,
            READ,
            step(
                GROUP,
                "--bootstrap-server @A --group @T --topic @T --reset-offsets --to-earliest \
                 --execute",
                &["@T @T 0 0", "@T @T 1 0", "@T @T 2 0"],
            ),
            READ,
            step(
                GROUP,
                "--bootstrap-server @A --group @T --topic @T:1 --reset-offsets \
                 --to-datetime 2001-01-01T00:00:00.000 --execute",
                &["@T @T 1 0"],
            ),
            step(
                GROUP,
                "--bootstrap-server @A --group @T --topic @T --reset-offsets --to-latest --dry-run",
                &["@T @T 0"],
            ),
        ],
    ),
    (
        "groups-delete",
        &[
            CREATE,
            SEND,
            READ,
            step(
                GROUP,
                "--bootstrap-server @A --delete-offsets --group @T --topic @T",
                &["Successful"],
            ),
            lacks(
                &["@T @T 0"],
                step(
                    GROUP,
                    "--bootstrap-server @A --describe --group @T --offsets",
                    &[],
                ),
            ),
            READ,
            step(
                GROUP,
                "--bootstrap-server @A --delete --group @T",
                &["was successful"],
            ),
            lacks(&["@T"], step(GROUP, "--bootstrap-server @A --list", &[])),
        ],
    ),
    (
        "groups-missing",
        &[step(
            GROUP,
            "--bootstrap-server @A --describe --group @T-no-such-group",
            &["GroupIdNotFoundException"],
        )],
    ),
    (
        "configs-topic",
        &[
            CREATE,
            step(
                CONFIG,
                "--bootstrap-server @A --alter --entity-type topics --entity-name @T \
                 --add-config retention.ms=120000,max.message.bytes=2000000",
                &["Completed updating config for topic @T."],
            ),
            step(
                CONFIG,
                "--bootstrap-server @A --describe --entity-type topics --entity-name @T",
                &[
                    "retention.ms=120000",
                    "max.message.bytes=2000000",
                    "DYNAMIC_TOPIC_CONFIG",
                ],
            ),
            step(
                CONFIG,
                "--bootstrap-server @A --alter --entity-type topics --entity-name @T \
                 --delete-config retention.ms",
                &["Completed updating config"],
            ),
            lacks(
                &["retention.ms=120000"],
                step(
                    CONFIG,
                    "--bootstrap-server @A --describe --entity-type topics --entity-name @T",
                    &["max.message.bytes=2000000"],
                ),
            ),
            refused(step(
                CONFIG,
                "--bootstrap-server @A --alter --entity-type topics --entity-name @T \
                 --add-config retention.ms=abc",
                &["retention.ms"],
            )),
        ],
    ),
    (
        "configs-topic-all",
        &[
            CREATE,
            step(
                CONFIG,
                "--bootstrap-server @A --describe --entity-type topics --entity-name @T --all",
                &["cleanup.policy=delete", "segment.bytes=", "DEFAULT_CONFIG"],
            ),
        ],
    ),
    (
        "configs-broker",
        &[step(
            CONFIG,
            "--bootstrap-server @A --describe --entity-type brokers --entity-name 0 --all",
            &["num.partitions=", "group.initial.rebalance.delay.ms=0"],
        )],
    ),
    (
        "get-offsets",
        &[
            CREATE,
            input(
                "a\nb\nc\n",
                step(
                    "ConsoleProducer",
                    "--bootstrap-server @A --topic @T --reader-property ignore.error=true",
                    &[],
                ),
            ),
            step(
                "GetOffsetShell",
                "--bootstrap-server @A --topic @T --time earliest",
                &["@T:0:0", "@T:1:0", "@T:2:0"],
            ),
            step(
                "GetOffsetShell",
                "--bootstrap-server @A --topic @T --time latest",
                &["@T:0:", "@T:1:", "@T:2:"],
            ),
            step(
                "GetOffsetShell",
                "--bootstrap-server @A --topic-partitions @T:0-3 --time 1000000000000",
                &["@T:"],
            ),
        ],
    ),
    (
        "get-offsets-max-timestamp",
        &[
            CREATE,
            SEND,
            step(
                "GetOffsetShell",
                "--bootstrap-server @A --topic @T --time max-timestamp",
                &["@T:"],
            ),
        ],
    ),
    (
        "delete-records",
        &[
            CREATE,
            step(
                "ProducerPerformance",
                "--topic @T --num-records 300 --record-size 10 --throughput -1 \
                 --producer-props bootstrap.servers=@A partitioner.class=\
                 org.apache.kafka.clients.producer.RoundRobinPartitioner",
                &["300 records sent"],
            ),
            input(
                "{\"version\":1,\"partitions\":[\
                 {\"topic\":\"@T\",\"partition\":0,\"offset\":10},\
                 {\"topic\":\"@T\",\"partition\":1,\"offset\":-1}]}",
                step(
                    "DeleteRecordsCommand",
                    "--bootstrap-server @A --offset-json-file @F",
                    &["low_watermark: 10"],
                ),
            ),
            step(
                "GetOffsetShell",
                "--bootstrap-server @A --topic @T --time earliest",
                &["@T:0:10", "@T:2:0"],
            ),
        ],
    ),
    (
        "perf",
        &[
            CREATE,
            step(
                "ProducerPerformance",
                "--topic @T --num-records 20000 --record-size 100 --throughput -1 \
                 --producer-props bootstrap.servers=@A",
                &["20000 records sent"],
            ),
            step(
                "ConsumerPerformance",
                "--bootstrap-server @A --topic @T --messages 20000",
                &["data.consumed.in.nMsg"],
            ),
        ],
    ),
    (
        "end-to-end-latency",
        &[
            CREATE,
            step(
                "EndToEndLatency",
                "--bootstrap-server @A --topic @T --num-records 200 --producer-acks all \
                 --record-size 100",
                &["Avg latency"],
            ),
        ],
    ),
    (
        "verifiable",
        &[
            CREATE,
            step(
                "VerifiableProducer",
                "--bootstrap-server @A --topic @T --max-messages 100",
                &["\"acked\":100"],
            ),
            step(
                "VerifiableConsumer",
                "--bootstrap-server @A --topic @T --group-id @T --max-messages 100 \
                 --reset-policy earliest",
                &["offsets_committed", "shutdown_complete"],
            ),
        ],
    ),
    (
        "api-versions",
        &[step(
            "BrokerApiVersionsCommand",
            "--bootstrap-server @A",
            &["Produce(0): 0 to", "Fetch(1): 4 to", "JoinGroup(11): 0 to"],
        )],
    ),
    (
        "cluster-id",
        &[
            step(
                "ClusterTool",
                "cluster-id --bootstrap-server @A",
                &["Cluster ID: "],
            ),
            step(
                "ClusterTool",
                "list-endpoints --bootstrap-server @A",
                &["127.0.0.1"],
            ),
        ],
    ),
    (
        "log-dirs",
        &[
            CREATE,
            step(
                "LogDirsCommand",
                "--bootstrap-server @A --describe --topic-list @T",
                &["\"partition\":\"@T-0\""],
            ),
        ],
    ),
    (
        "reassignments",
        &[step(
            "org.apache.kafka.tools.reassign.ReassignPartitionsCommand",
            "--bootstrap-server @A --list",
            &["No partition reassignments found."],
        )],
    ),
    (
        "leader-election",
        &[
            CREATE,
            step(
                "LeaderElectionCommand",
                "--bootstrap-server @A --election-type preferred --topic @T --partition 0",
                &["@T-0"],
            ),
        ],
    ),
    (
        "acls",
        &[step(
            "org.apache.kafka.tools.AclCommand",
            "--bootstrap-server @A --list",
            &[],
        )],
    ),
    (
        "transactions",
        &[step(
            "TransactionsCommand",
            "--bootstrap-server @A list",
            &["TransactionalId"],
        )],
    ),
    (
        "quotas",
        &[step(
            CONFIG,
            "--bootstrap-server @A --describe --entity-type clients",
            &[],
        )],
    ),
    (
        "features",
        &[step(
            "FeatureCommand",
            "--bootstrap-server @A describe",
            &["metadata.version"],
        )],
    ),
    (
        "quorum",
        &[step(
            "MetadataQuorumCommand",
            "--bootstrap-server @A describe --status",
            &["LeaderId:"],
        )],
    ),
];
