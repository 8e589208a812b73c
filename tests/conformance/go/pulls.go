package main

import (
	"context"
	"time"

	rocketmq "github.com/apache/rocketmq-client-go/v2"
	"github.com/apache/rocketmq-client-go/v2/consumer"
	"github.com/apache/rocketmq-client-go/v2/primitive"
)

const pullNumber = 32

var pullStatuses = map[primitive.PullStatus]string{
	primitive.PullFound: "FOUND", primitive.PullNoNewMsg: "NO_NEW_MSG", primitive.PullNoMsgMatched: "NO_MATCHED_MSG",
	primitive.PullOffsetIllegal: "OFFSET_ILLEGAL", primitive.PullBrokerTimeout: "BROKER_TIMEOUT",
}

// pullConsumer is given no queues, so that nothing is pulled but what a scenario asks for.
func pullConsumer(nameServers, topic, group string) rocketmq.PullConsumer {
	made, err := rocketmq.NewPullConsumer(
		consumer.WithNameServer(addresses(nameServers)),
		consumer.WithGroupName(group),
		consumer.WithInstance(instanceName()),
	)
	must(err)
	must(made.Assign(topic, nil))
	must(made.Start())
	return made
}

// end tells where a queue ends. The client has no call for that, and a pull there would wait: nothing is stored in an
// hour yet.
func end(puller rocketmq.PullConsumer, queue *primitive.MessageQueue) int64 {
	offset, err := puller.OffsetForTimestamp(queue, time.Now().Add(time.Hour).UnixMilli())
	must(err)
	return offset
}

// pullAll reads everything of a topic, queue by queue from the first offset to the last.
func pullAll(nameServers, topic string) {
	puller := pullConsumer(nameServers, topic, "battery-reader")
	defer puller.Shutdown()
	for _, queue := range queuesOf(nameServers, topic) {
		next, err := puller.OffsetForTimestamp(queue, 0)
		must(err)
		last := end(puller, queue)
		line{"event": "queue", "broker": queue.BrokerName, "queue": queue.QueueId, "min": next, "max": last}.print()
		for next < last {
			result, err := puller.PullFrom(context.Background(), queue, next, pullNumber)
			must(err)
			for _, message := range result.GetMessageExts() {
				found("pulled", message).print()
			}
			if result.NextBeginOffset <= next {
				line{"event": "stuck", "queue": queue.QueueId, "offset": next,
					"status": pullStatuses[result.Status], "next": result.NextBeginOffset}.print()
				return
			}
			next = result.NextBeginOffset
		}
	}
}

// pullAtTheEnd pulls where nothing is yet; a second later a message is sent there.
func pullAtTheEnd(nameServers, topic string) {
	puller := pullConsumer(nameServers, topic, "battery-reader")
	defer puller.Shutdown()
	queue := queuesOf(nameServers, topic)[0]
	offset := end(puller, queue)
	sender, started := theProducer(nameServers), time.Now()
	time.AfterFunc(time.Second, func() {
		message := primitive.NewMessage(topic, []byte("wakes the pull"))
		message.Queue = queue
		_, err := sender.SendSync(context.Background(), message)
		must(err)
	})
	woken, err := puller.PullFrom(context.Background(), queue, offset, pullNumber)
	must(err)
	said := line{"event": "woken", "waited_ms": time.Since(started).Milliseconds(),
		"status": pullStatuses[woken.Status], "offset": offset, "next": woken.NextBeginOffset, "max": woken.MaxOffset}
	for _, message := range woken.GetMessageExts() {
		said.with("body", message.Body)
	}
	said.print()
}

// committed says what a group has committed, queue by queue: -1 where it has no offset.
func committed(nameServers, topic, group string) {
	puller := pullConsumer(nameServers, topic, group)
	defer puller.Shutdown()
	for _, queue := range queuesOf(nameServers, topic) {
		offset, err := puller.CurrentOffset(queue)
		must(err)
		line{"event": "committed", "broker": queue.BrokerName, "queue": queue.QueueId, "offset": offset}.print()
	}
}

// found describes a message as it came out, with the place that it came from.
func found(event string, message *primitive.MessageExt) line {
	return line{
		"event": event, "out": describe(&message.Message), "id": message.MsgId, "message_id": message.OffsetMsgId,
		"broker": message.Queue.BrokerName, "queue": message.Queue.QueueId, "queue_offset": message.QueueOffset,
		"physical_offset": message.CommitLogOffset, "born_ms": message.BornTimestamp,
		"stored_ms": message.StoreTimestamp, "born_host": message.BornHost,
		// As Java prints an address.
		"store_host": "/" + message.StoreHost, "body_crc": message.BodyCRC, "attempts": message.ReconsumeTimes,
		"at_ms": time.Now().UnixMilli(),
	}
}
