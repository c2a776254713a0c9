// The scenario program for Kafka's Java client; README.md beside it says what each verb does.

import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Properties;
import java.util.TreeMap;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicBoolean;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.CommitFailedException;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.RebalanceInProgressException;
import org.apache.kafka.common.errors.TopicExistsException;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

public class Scenarios {
    static final long BASE = 1_700_000_000_000L;
    static String address;
    static String topic;

    public static void main(String[] args) throws Exception {
        address = args[1];
        topic = args[2];
        switch (args[0]) {
            case "produce" -> produce(args[3], Long.parseLong(args[4]), Long.parseLong(args[5]));
            case "read" -> read();
            case "member" -> member(args[3]);
            case "seek" -> seek(Integer.parseInt(args[3]), args[4], Long.parseLong(args[5]));
            case "admin" -> admin();
            case "groups" -> groups(args[3]);
            default -> throw new IllegalArgumentException(args[0]);
        }
    }

    static void print(Object... words) {
        StringBuilder line = new StringBuilder();
        for (Object word : words) {
            line.append(line.length() == 0 ? "" : " ").append(word);
        }
        System.out.println(line);
    }

    static void produce(String codec, long first, long count) throws Exception {
        Properties config = new Properties();
        config.put("bootstrap.servers", address);
        config.put("compression.type", codec);
        config.put("linger.ms", "5");
        var text = new StringSerializer();
        try (var producer = new KafkaProducer<>(config, text, text)) {
            List<Future<RecordMetadata>> sent = new ArrayList<>();
            for (long i = first; i < first + count; i++) {
                var record = new ProducerRecord<>(topic, (int) (i % 3), BASE + 1000 * i, "k" + i, "v" + i);
                record.headers().add("n", Long.toString(i).getBytes());
                sent.add(producer.send(record));
            }
            for (var future : sent) {
                future.get();
            }
        }
    }

    static KafkaConsumer<String, String> consumer(Map<String, String> more) {
        Properties config = new Properties();
        config.put("bootstrap.servers", address);
        config.put("enable.auto.commit", "false");
        config.put("auto.offset.reset", "earliest");
        config.putAll(more);
        return new KafkaConsumer<>(config, new StringDeserializer(), new StringDeserializer());
    }

    static void read() {
        try (var consumer = consumer(Map.of())) {
            List<TopicPartition> places = new ArrayList<>();
            consumer.partitionsFor(topic).forEach(it -> places.add(new TopicPartition(topic, it.partition())));
            consumer.assign(places);
            consumer.seekToBeginning(places);
            var ends = consumer.endOffsets(places);
            while (places.stream().anyMatch(it -> consumer.position(it) < ends.get(it))) {
                for (var r : consumer.poll(Duration.ofMillis(500))) {
                    String header = new String(r.headers().lastHeader("n").value());
                    print(r.partition(), r.offset(), r.timestamp(), r.key(), header, r.value());
                }
            }
        }
    }

    static void member(String group) throws Exception {
        var isOver = new AtomicBoolean();
        var watcher = new Thread(() -> {
            try {
                System.in.readAllBytes();
            } catch (java.io.IOException error) {
                System.err.println(error);
            }
            isOver.set(true);
        });
        watcher.setDaemon(true);
        watcher.start();
        Map<String, String> more =
            Map.of("group.id", group, "session.timeout.ms", "6000", "heartbeat.interval.ms", "300");
        try (var consumer = consumer(more)) {
            consumer.subscribe(List.of(topic));
            int assigned = -1;
            while (!isOver.get()) {
                var records = consumer.poll(Duration.ofMillis(200));
                int now = consumer.assignment().size();
                if (now != assigned) {
                    assigned = now;
                    print("assigned", assigned);
                }
                for (var r : records) {
                    print("record", r.partition(), r.offset(), r.value());
                }
                try {
                    consumer.commitSync();
                } catch (CommitFailedException | RebalanceInProgressException error) {
                    // Whoever gets the partition reads these records again.
                    System.err.println(error);
                }
            }
        }
    }

    static void seek(int partition, String kind, long number) {
        try (var consumer = consumer(Map.of())) {
            var place = new TopicPartition(topic, partition);
            consumer.assign(List.of(place));
            consumer.seekToBeginning(List.of(place));
            consumer.poll(Duration.ofSeconds(1));
            long offset = number;
            if (kind.equals("time")) {
                offset = consumer.offsetsForTimes(Map.of(place, number)).get(place).offset();
            }
            consumer.seek(place, offset);
            Optional<ConsumerRecord<String, String>> found = Optional.empty();
            while (found.isEmpty()) {
                found = consumer.poll(Duration.ofMillis(500)).records(place).stream().findFirst();
            }
            print(found.get().partition(), found.get().offset(), found.get().value());
        }
    }

    /** What `look` finds: brokers may answer from before a change for a moment. */
    static <T> T settled(T wanted, Callable<T> look) throws Exception {
        T found = look.call();
        for (int tries = 0; !found.equals(wanted) && tries < 50; tries++) {
            Thread.sleep(100);
            found = look.call();
        }
        return found;
    }

    static int partitions(Admin admin) throws Exception {
        return admin.describeTopics(List.of(topic)).allTopicNames().get().get(topic).partitions().size();
    }

    static String retention(Admin admin) throws Exception {
        var resource = new ConfigResource(ConfigResource.Type.TOPIC, topic);
        return admin.describeConfigs(List.of(resource)).all().get().get(resource).get("retention.ms").value();
    }

    static void admin() throws Exception {
        try (var admin = Admin.create(Map.<String, Object>of("bootstrap.servers", address))) {
            var wanted = new NewTopic(topic, 2, (short) 1).configs(Map.of("retention.ms", "60000"));
            admin.createTopics(List.of(wanted)).all().get();
            print("partitions", settled(2, () -> partitions(admin)));
            print("retention.ms", settled("60000", () -> retention(admin)));
            try {
                admin.createTopics(List.of(wanted)).all().get();
            } catch (ExecutionException error) {
                if (error.getCause() instanceof TopicExistsException) {
                    print("exists");
                }
            }
            var resource = new ConfigResource(ConfigResource.Type.TOPIC, topic);
            var entry = new ConfigEntry("retention.ms", "120000");
            Collection<AlterConfigOp> changes = List.of(new AlterConfigOp(entry, AlterConfigOp.OpType.SET));
            admin.incrementalAlterConfigs(Map.of(resource, changes)).all().get();
            print("retention.ms", settled("120000", () -> retention(admin)));
            admin.createPartitions(Map.of(topic, NewPartitions.increaseTo(4))).all().get();
            print("partitions", settled(4, () -> partitions(admin)));
            admin.deleteTopics(List.of(topic)).all().get();
            boolean isThere = settled(false, () -> admin.listTopics().names().get().contains(topic));
            print(isThere ? "there" : "gone");
        }
    }

    static boolean isListed(Admin admin, String group) throws Exception {
        return admin.listGroups().all().get().stream().anyMatch(it -> it.groupId().equals(group));
    }

    static void groups(String group) throws Exception {
        try (var admin = Admin.create(Map.<String, Object>of("bootstrap.servers", address))) {
            print(isListed(admin, group) ? "listed" : "not listed");
            var described = admin.describeConsumerGroups(List.of(group)).all().get().get(group);
            print("state", described.groupState());
            Map<Integer, OffsetAndMetadata> committed = new TreeMap<>();
            var offsets = admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get();
            offsets.forEach((place, offset) -> committed.put(place.partition(), offset));
            committed.forEach((partition, offset) -> print("committed", partition, offset.offset()));
            admin.deleteConsumerGroups(List.of(group)).all().get();
            print(isListed(admin, group) ? "listed" : "gone");
        }
    }
}
