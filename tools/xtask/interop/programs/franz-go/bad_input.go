package main

import (
	"fmt"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"
)

// Requests that a group's coordinator must refuse, each with the error code that came back. The
// versions are the same on every broker, whatever it can do.
func badInput(address, topic string, args []string) {
	group := args[0]
	bad := &badRequests{client: client(address, kgo.MaxVersions(kversion.V3_5_0())), topic: topic}
	defer bad.client.Close()
	bad.groupsThatAreNotThere(group + "-none")
	bad.joins(group)
	member := bad.member(group)
	bad.aMembersRequests(group, member)
	bad.commits(group, member)
	bad.partitions(group, member)
	bad.groupsWithoutName(member)
	bad.groupsInUse(group)
	left := kmsg.NewPtrLeaveGroupRequest()
	left.Group, left.MemberID = group, member
	one := kmsg.NewLeaveGroupRequestMember()
	one.MemberID = member
	left.Members = []kmsg.LeaveGroupRequestMember{one}
	fmt.Println("leave", ask(bad, left).(*kmsg.LeaveGroupResponse).ErrorCode)
	fmt.Println("heartbeat-after-leave", bad.heartbeat(group, member, 1))
}

type badRequests struct {
	client *kgo.Client
	topic  string
}

func ask(bad *badRequests, request kmsg.Request) kmsg.Response {
	response, err := bad.client.Request(ctx, request)
	check(err)
	return response
}

func (bad *badRequests) heartbeat(group, member string, generation int32) int16 {
	request := kmsg.NewPtrHeartbeatRequest()
	request.Group, request.MemberID, request.Generation = group, member, generation
	return ask(bad, request).(*kmsg.HeartbeatResponse).ErrorCode
}

func (bad *badRequests) groupsThatAreNotThere(group string) {
	fmt.Println("heartbeat-no-group", bad.heartbeat(group, "x", 1))
	fmt.Println("sync-no-group", bad.sync(group, "x", 1, "range"))
	fmt.Println("commit-no-group-with-member", bad.commit(group, "x", 1, bad.topic, ""))
	deleted := kmsg.NewPtrDeleteGroupsRequest()
	deleted.Groups = []string{group}
	fmt.Println("delete-no-group", ask(bad, deleted).(*kmsg.DeleteGroupsResponse).Groups[0].ErrorCode)
	described := kmsg.NewPtrDescribeGroupsRequest()
	described.Groups = []string{group}
	found := ask(bad, described).(*kmsg.DescribeGroupsResponse).Groups[0]
	fmt.Println("describe-no-group", found.ErrorCode, found.State)
	left := kmsg.NewPtrLeaveGroupRequest()
	left.Group = group
	one := kmsg.NewLeaveGroupRequestMember()
	one.MemberID = "x"
	left.Members = []kmsg.LeaveGroupRequestMember{one}
	answer := ask(bad, left).(*kmsg.LeaveGroupResponse)
	fmt.Println("leave-no-group", answer.ErrorCode, len(answer.Members))
	offsets := kmsg.NewPtrOffsetDeleteRequest()
	offsets.Group = group
	fmt.Println("offset-delete-no-group", ask(bad, offsets).(*kmsg.OffsetDeleteResponse).ErrorCode)
}

func (bad *badRequests) join(group, member, kind string, session int32, protocols ...string) *kmsg.JoinGroupResponse {
	request := kmsg.NewPtrJoinGroupRequest()
	request.Group, request.MemberID, request.ProtocolType = group, member, kind
	request.SessionTimeoutMillis, request.RebalanceTimeoutMillis = session, 10_000
	for _, name := range protocols {
		protocol := kmsg.NewJoinGroupRequestProtocol()
		protocol.Name = name
		metadata := kmsg.NewConsumerMemberMetadata()
		metadata.Topics = []string{bad.topic}
		protocol.Metadata = metadata.AppendTo(nil)
		request.Protocols = append(request.Protocols, protocol)
	}
	return ask(bad, request).(*kmsg.JoinGroupResponse)
}

func (bad *badRequests) joins(group string) {
	fmt.Println("join-session-short", bad.join(group, "", "consumer", 1000, "range").ErrorCode)
	fmt.Println("join-session-long", bad.join(group, "", "consumer", 1<<30, "range").ErrorCode)
	fmt.Println("join-unknown-member", bad.join(group, "x", "consumer", 6000, "range").ErrorCode)
	fmt.Println("join-no-protocol", bad.join(group, "", "consumer", 6000).ErrorCode)
	fmt.Println("join-no-kind", bad.join(group, "", "", 6000, "range").ErrorCode)
}

// A group of one, subscribed to the topic, in generation 1.
func (bad *badRequests) member(group string) string {
	first := bad.join(group, "", "consumer", 30_000, "range")
	fmt.Println("join-without-id", first.ErrorCode)
	joined := bad.join(group, first.MemberID, "consumer", 30_000, "range")
	fmt.Println("join", joined.ErrorCode, joined.Generation)
	fmt.Println("sync-wrong-protocol", bad.sync(group, joined.MemberID, 1, "sticky"))
	fmt.Println("sync", bad.sync(group, joined.MemberID, 1, "range"))
	return joined.MemberID
}

func (bad *badRequests) sync(group, member string, generation int32, protocol string) int16 {
	kind := "consumer"
	request := kmsg.NewPtrSyncGroupRequest()
	request.Group, request.MemberID, request.Generation = group, member, generation
	request.ProtocolType, request.Protocol = &kind, &protocol
	return ask(bad, request).(*kmsg.SyncGroupResponse).ErrorCode
}

func (bad *badRequests) aMembersRequests(group, member string) {
	fmt.Println("heartbeat", bad.heartbeat(group, member, 1))
	fmt.Println("heartbeat-stale", bad.heartbeat(group, member, 0))
	fmt.Println("heartbeat-ahead", bad.heartbeat(group, member, 9))
	fmt.Println("heartbeat-unknown", bad.heartbeat(group, "x", 1))
	fmt.Println("sync-stale", bad.sync(group, member, 0, "range"))
	fmt.Println("sync-unknown", bad.sync(group, "x", 1, "range"))
	fmt.Println("join-other-kind", bad.join(group, "", "connect", 6000, "range").ErrorCode)
	fmt.Println("join-other-protocol", bad.join(group, "", "consumer", 6000, "other").ErrorCode)
}

func (bad *badRequests) commit(group, member string, generation int32, topic, metadata string) int16 {
	request := kmsg.NewPtrOffsetCommitRequest()
	request.Group, request.MemberID, request.Generation = group, member, generation
	one := kmsg.NewOffsetCommitRequestTopic()
	one.Topic = topic
	partition := kmsg.NewOffsetCommitRequestTopicPartition()
	partition.Offset, partition.Metadata = 5, &metadata
	one.Partitions = []kmsg.OffsetCommitRequestTopicPartition{partition}
	request.Topics = []kmsg.OffsetCommitRequestTopic{one}
	return ask(bad, request).(*kmsg.OffsetCommitResponse).Topics[0].Partitions[0].ErrorCode
}

func (bad *badRequests) commits(group, member string) {
	fmt.Println("commit", bad.commit(group, member, 1, bad.topic, "m"))
	fmt.Println("commit-stale", bad.commit(group, member, 0, bad.topic, ""))
	fmt.Println("commit-unknown", bad.commit(group, "x", 1, bad.topic, ""))
	fmt.Println("commit-outside", bad.commit(group, "", -1, bad.topic, ""))
	fmt.Println("commit-no-topic", bad.commit(group, member, 1, bad.topic+"-none", ""))
	most := strings.Repeat("m", 4096)
	fmt.Println("commit-most-metadata", bad.commit(group, member, 1, bad.topic, most))
	fmt.Println("commit-more-metadata", bad.commit(group, member, 1, bad.topic, most+"m"))
}

// Partitions and topics that are not there, few and many; offsets of a topic that is read.
func (bad *badRequests) partitions(group, member string) {
	codes := func(partitions ...int32) map[int16]int {
		request := kmsg.NewPtrOffsetCommitRequest()
		request.Group, request.MemberID, request.Generation = group, member, 1
		one := kmsg.NewOffsetCommitRequestTopic()
		one.Topic = bad.topic
		for _, number := range partitions {
			partition := kmsg.NewOffsetCommitRequestTopicPartition()
			partition.Partition, partition.Offset = number, 5
			one.Partitions = append(one.Partitions, partition)
		}
		request.Topics = []kmsg.OffsetCommitRequestTopic{one}
		found := map[int16]int{}
		for _, partition := range ask(bad, request).(*kmsg.OffsetCommitResponse).Topics[0].Partitions {
			found[partition.ErrorCode]++
		}
		return found
	}
	fmt.Println("commit-no-partition", codes(3))
	fmt.Println("commit-negative-partition", codes(-1))
	many := make([]int32, 10_000)
	for number := range many {
		many[number] = int32(number)
	}
	fmt.Println("commit-ten-thousand", codes(many...))
	deleted := func(topic string, partition int32) int16 {
		request := kmsg.NewPtrOffsetDeleteRequest()
		request.Group = group
		one := kmsg.NewOffsetDeleteRequestTopic()
		one.Topic = topic
		two := kmsg.NewOffsetDeleteRequestTopicPartition()
		two.Partition = partition
		one.Partitions = []kmsg.OffsetDeleteRequestTopicPartition{two}
		request.Topics = []kmsg.OffsetDeleteRequestTopic{one}
		return ask(bad, request).(*kmsg.OffsetDeleteResponse).Topics[0].Partitions[0].ErrorCode
	}
	fmt.Println("offset-delete-subscribed", deleted(bad.topic, 0))
	fmt.Println("offset-delete-no-topic", deleted(bad.topic+"-none", 0))
	fmt.Println("offset-delete-no-partition", deleted(bad.topic, 3))
	fetched := kmsg.NewPtrOffsetFetchRequest()
	wanted := kmsg.NewOffsetFetchRequestGroup()
	wanted.Group = group
	topic := kmsg.NewOffsetFetchRequestGroupTopic()
	topic.Topic, topic.Partitions = bad.topic+"-none", []int32{0, -1, 9}
	wanted.Topics = []kmsg.OffsetFetchRequestGroupTopic{topic}
	fetched.Groups = []kmsg.OffsetFetchRequestGroup{wanted}
	for _, partition := range ask(bad, fetched).(*kmsg.OffsetFetchResponse).Groups[0].Topics[0].Partitions {
		fmt.Println("offset-fetch-nothing", partition.ErrorCode, partition.Partition, partition.Offset)
	}
	left := kmsg.NewPtrLeaveGroupRequest()
	left.Group = group
	one := kmsg.NewLeaveGroupRequestMember()
	one.MemberID = "x"
	left.Members = []kmsg.LeaveGroupRequestMember{one}
	answer := ask(bad, left).(*kmsg.LeaveGroupResponse)
	fmt.Println("leave-unknown", answer.ErrorCode, answer.Members[0].ErrorCode)
}

func (bad *badRequests) groupsWithoutName(member string) {
	fmt.Println("join-no-name", bad.join("", "", "consumer", 6000, "range").ErrorCode)
	fmt.Println("sync-no-name", bad.sync("", member, 1, "range"))
	fmt.Println("heartbeat-no-name", bad.heartbeat("", member, 1))
	fmt.Println("commit-no-name-with-member", bad.commit("", member, 1, bad.topic, ""))
	fmt.Println("commit-no-name", bad.commit("", "", -1, bad.topic, ""))
	deleted := kmsg.NewPtrDeleteGroupsRequest()
	deleted.Groups = []string{""}
	fmt.Println("delete-no-name", ask(bad, deleted).(*kmsg.DeleteGroupsResponse).Groups[0].ErrorCode)
	described := kmsg.NewPtrDescribeGroupsRequest()
	described.Groups = []string{""}
	found := ask(bad, described).(*kmsg.DescribeGroupsResponse).Groups[0]
	fmt.Println("describe-no-name", found.ErrorCode, found.State)
}

func (bad *badRequests) groupsInUse(group string) {
	deleted := kmsg.NewPtrDeleteGroupsRequest()
	deleted.Groups = []string{group}
	fmt.Println("delete-in-use", ask(bad, deleted).(*kmsg.DeleteGroupsResponse).Groups[0].ErrorCode)
	found := kmsg.NewPtrFindCoordinatorRequest()
	found.CoordinatorType = 9
	found.CoordinatorKey, found.CoordinatorKeys = group, []string{group}
	response := ask(bad, found).(*kmsg.FindCoordinatorResponse)
	if len(response.Coordinators) > 0 {
		fmt.Println("coordinator-type", response.Coordinators[0].ErrorCode)
	} else {
		fmt.Println("coordinator-type", response.ErrorCode)
	}
}
