// The scenario program for franz-go; README.md in the folder above says what each verb does.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sort"
	"strconv"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

const base = 1_700_000_000_000

var ctx = context.Background()

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func number(text string) int64 {
	n, err := strconv.ParseInt(text, 10, 64)
	check(err)
	return n
}

func client(address string, more ...kgo.Opt) *kgo.Client {
	made, err := kgo.NewClient(append(more, kgo.SeedBrokers(address))...)
	check(err)
	return made
}

func produce(address, topic string, args []string) {
	codecs := map[string]kgo.CompressionCodec{
		"none":   kgo.NoCompression(),
		"gzip":   kgo.GzipCompression(),
		"snappy": kgo.SnappyCompression(),
		"lz4":    kgo.Lz4Compression(),
		"zstd":   kgo.ZstdCompression(),
	}
	producer := client(address,
		kgo.ProducerBatchCompression(codecs[args[0]]),
		kgo.RecordPartitioner(kgo.ManualPartitioner()))
	defer producer.Close()
	first := number(args[1])
	var records []*kgo.Record
	for i := first; i < first+number(args[2]); i++ {
		text := strconv.FormatInt(i, 10)
		records = append(records, &kgo.Record{
			Topic:     topic,
			Partition: int32(i % 3),
			Key:       []byte("k" + text),
			Value:     []byte("v" + text),
			Headers:   []kgo.RecordHeader{{Key: "n", Value: []byte(text)}},
			Timestamp: time.UnixMilli(base + 1000*i),
		})
	}
	check(producer.ProduceSync(ctx, records...).FirstErr())
}

func read(address, topic string, _ []string) {
	consumer := client(address, kgo.ConsumeTopics(topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	defer consumer.Close()
	ends, err := kadm.NewClient(consumer).ListEndOffsets(ctx, topic)
	check(err)
	left := int64(0)
	ends.Each(func(end kadm.ListedOffset) { left += end.Offset })
	for left > 0 {
		fetches := consumer.PollFetches(ctx)
		check(fetches.Err())
		fetches.EachRecord(func(r *kgo.Record) {
			left--
			fmt.Println(r.Partition, r.Offset, r.Timestamp.UnixMilli(), string(r.Key),
				string(r.Headers[0].Value), string(r.Value))
		})
	}
}

func member(address, topic string, args []string) {
	var mutex sync.Mutex
	count := 0
	changed := func(by int) func(context.Context, *kgo.Client, map[string][]int32) {
		return func(_ context.Context, _ *kgo.Client, places map[string][]int32) {
			mutex.Lock()
			defer mutex.Unlock()
			count += by * len(places[topic])
			fmt.Println("assigned", count)
		}
	}
	consumer := client(address,
		kgo.ConsumerGroup(args[0]),
		kgo.ConsumeTopics(topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.DisableAutoCommit(),
		kgo.SessionTimeout(6*time.Second),
		kgo.HeartbeatInterval(300*time.Millisecond),
		kgo.OnPartitionsAssigned(changed(1)),
		kgo.OnPartitionsRevoked(changed(-1)),
		kgo.OnPartitionsLost(changed(-1)))
	over, end := context.WithCancel(ctx)
	go func() {
		io.Copy(io.Discard, os.Stdin)
		end()
	}()
	for over.Err() == nil {
		fetches := consumer.PollFetches(over)
		if over.Err() != nil {
			break
		}
		check(fetches.Err())
		fetches.EachRecord(func(r *kgo.Record) {
			fmt.Println("record", r.Partition, r.Offset, string(r.Value))
		})
		if err := consumer.CommitUncommittedOffsets(ctx); err != nil {
			// In a rebalance: whoever gets the partition reads these records again.
			fmt.Fprintln(os.Stderr, err)
		}
	}
	consumer.Close()
}

func seek(address, topic string, args []string) {
	partition, at := int32(number(args[0])), number(args[2])
	consumer := client(address, kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{
		topic: {partition: kgo.NewOffset().AtStart()},
	}))
	defer consumer.Close()
	check(consumer.PollFetches(ctx).Err())
	if args[1] == "time" {
		found, err := kadm.NewClient(consumer).ListOffsetsAfterMilli(ctx, at, topic)
		check(err)
		offset, _ := found.Lookup(topic, partition)
		at = offset.Offset
	}
	consumer.SetOffsets(map[string]map[int32]kgo.EpochOffset{
		topic: {partition: {Epoch: -1, Offset: at}},
	})
	for {
		fetches := consumer.PollFetches(ctx)
		check(fetches.Err())
		if records := fetches.Records(); len(records) > 0 {
			r := records[0]
			fmt.Println(r.Partition, r.Offset, string(r.Value))
			return
		}
	}
}

// What look finds: brokers may answer from before a change for a moment.
func settled[T comparable](wanted T, look func() T) T {
	found := look()
	for tries := 0; found != wanted && tries < 50; tries++ {
		time.Sleep(100 * time.Millisecond)
		found = look()
	}
	return found
}

func admin(address, topic string, _ []string) {
	admin := kadm.NewClient(client(address))
	defer admin.Close()
	partitions := func() int {
		found, err := admin.ListTopics(ctx, topic)
		check(err)
		return len(found[topic].Partitions)
	}
	retention := func() string {
		found, err := admin.DescribeTopicConfigs(ctx, topic)
		check(err)
		for _, config := range found[0].Configs {
			if config.Key == "retention.ms" {
				return config.MaybeValue()
			}
		}
		return "missing"
	}
	minute, two := "60000", "120000"
	configs := map[string]*string{"retention.ms": &minute}
	_, err := admin.CreateTopic(ctx, 2, 1, configs, topic)
	check(err)
	fmt.Println("partitions", settled(2, partitions))
	fmt.Println("retention.ms", settled(minute, retention))
	if _, err = admin.CreateTopic(ctx, 2, 1, configs, topic); errors.Is(err, kerr.TopicAlreadyExists) {
		fmt.Println("exists")
	}
	changes := []kadm.AlterConfig{{Op: kadm.SetConfig, Name: "retention.ms", Value: &two}}
	altered, err := admin.AlterTopicConfigs(ctx, changes, topic)
	check(err)
	check(altered[0].Err)
	fmt.Println("retention.ms", settled(two, retention))
	grown, err := admin.UpdatePartitions(ctx, 4, topic)
	check(err)
	check(grown.Error())
	fmt.Println("partitions", settled(4, partitions))
	_, err = admin.DeleteTopic(ctx, topic)
	check(err)
	isThere := func() bool {
		found, err := admin.ListTopics(ctx)
		check(err)
		return found.Has(topic)
	}
	if settled(false, isThere) {
		fmt.Println("there")
	} else {
		fmt.Println("gone")
	}
}

func groups(address, topic string, args []string) {
	admin := kadm.NewClient(client(address))
	defer admin.Close()
	isListed := func() bool {
		found, err := admin.ListGroups(ctx)
		check(err)
		_, isThere := found[args[0]]
		return isThere
	}
	if isListed() {
		fmt.Println("listed")
	}
	described, err := admin.DescribeGroups(ctx, args[0])
	check(err)
	fmt.Println("state", described[args[0]].State)
	offsets, err := admin.FetchOffsets(ctx, args[0])
	check(err)
	committed := offsets.Offsets().Sorted()
	sort.SliceStable(committed, func(a, b int) bool {
		return committed[a].Partition < committed[b].Partition
	})
	for _, offset := range committed {
		fmt.Println("committed", offset.Partition, offset.At)
	}
	_, err = admin.DeleteGroup(ctx, args[0])
	check(err)
	if isListed() {
		fmt.Println("listed")
	} else {
		fmt.Println("gone")
	}
}

func main() {
	verbs := map[string]func(string, string, []string){
		"produce": produce, "read": read, "member": member,
		"seek": seek, "admin": admin, "groups": groups, "bad-input": badInput,
	}
	verbs[os.Args[1]](os.Args[2], os.Args[3], os.Args[4:])
}
