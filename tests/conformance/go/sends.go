package main

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/apache/rocketmq-client-go/v2/primitive"
)

const answerLimit = 30 * time.Second

var statuses = map[primitive.SendStatus]string{
	primitive.SendOK: "SEND_OK", primitive.SendFlushDiskTimeout: "FLUSH_DISK_TIMEOUT",
	primitive.SendFlushSlaveTimeout: "FLUSH_SLAVE_TIMEOUT", primitive.SendSlaveNotAvailable: "SLAVE_NOT_AVAILABLE",
	primitive.SendUnknownError: "UNKNOWN_ERROR",
}

func sendSync(nameServers, topic string, count int) {
	queues := queuesOf(nameServers, topic)
	for number := 0; number < count; number++ {
		message := sample(topic, number)
		sent := describe(message)
		// Every second message goes to a queue of our choice, the others to the client's.
		if number%2 == 1 {
			message.Queue = queues[number%len(queues)]
		}
		result, err := theProducer(nameServers).SendSync(context.Background(), message)
		must(err)
		answered("sync", number, sent, result).print()
	}
}

// sendDelayed sends messages that the broker holds back for the time of a delay level.
func sendDelayed(nameServers, topic string, count, level int) {
	for number := 0; number < count; number++ {
		message := sample(topic, number)
		sent := describe(message)
		result, err := theProducer(nameServers).SendSync(context.Background(), message.WithDelayTimeLevel(level))
		must(err)
		answered("delayed", number, sent, result).print()
	}
}

// sendToUnknown sends to a topic that nobody has made: the broker makes it from the template topic.
func sendToUnknown(nameServers, topic string) {
	message := sample(topic, 0)
	sent := describe(message)
	result, err := theProducer(nameServers).SendSync(context.Background(), message)
	must(err)
	answered("sync", 0, sent, result).print()
}

func sendAsync(nameServers, topic string, count int) {
	var open sync.WaitGroup
	for number := 0; number < count; number++ {
		number, message := number, sample(topic, number)
		sent := describe(message)
		open.Add(1)
		must(theProducer(nameServers).SendAsync(context.Background(),
			func(_ context.Context, result *primitive.SendResult, err error) {
				defer open.Done()
				if err != nil {
					failed("async", number, err)
					return
				}
				answered("async", number, sent, result).print()
			}, message))
	}
	all := make(chan struct{})
	go func() {
		open.Wait()
		close(all)
	}()
	select {
	case <-all:
	case <-time.After(answerLimit):
		line{"event": "unanswered", "how": "async"}.print()
	}
}

func sendOneWay(nameServers, topic string, count int) {
	for number := 0; number < count; number++ {
		message := sample(topic, number)
		sent := describe(message)
		must(theProducer(nameServers).SendOneWay(context.Background(), message))
		line{"event": "sent", "how": "oneway", "number": number, "in": sent,
			"id": message.GetProperty(primitive.PropertyUniqueClientMessageIdKeyIndex)}.print()
	}
	// Nothing tells when a one-way frame has been stored. A synchronous send on the same connection has to wait behind
	// them, one for each queue and so for each broker.
	for _, queue := range queuesOf(nameServers, topic) {
		fence := primitive.NewMessage(topic, []byte("fence")).WithTag("FENCE")
		fence.Queue = queue
		_, err := theProducer(nameServers).SendSync(context.Background(), fence)
		must(err)
	}
}

// sendBatch sends one batch. This client gives its messages no unique ids: their offset ids are the only ones.
func sendBatch(nameServers, topic string, count int) {
	batch, sent := []*primitive.Message{}, []line{}
	for number := 0; number < count; number++ {
		message := sample(topic, number)
		message.RemoveProperty(primitive.PropertyWaitStoreMsgOk)
		batch, sent = append(batch, message), append(sent, describe(message))
	}
	result, err := theProducer(nameServers).SendSync(context.Background(), batch...)
	must(err)
	ids, first := strings.Split(result.OffsetMsgID, ","), result.QueueOffset
	for number := 0; number < count; number++ {
		result.MsgID, result.OffsetMsgID, result.QueueOffset = ids[number], ids[number], first+int64(number)
		answered("batch", number, sent[number], result).with("unique_id", nil).print()
	}
}

func answered(how string, number int, sent line, result *primitive.SendResult) line {
	return line{
		"event": "sent", "how": how, "number": number, "in": sent, "status": statuses[result.Status],
		"id": result.MsgID, "offset_id": result.OffsetMsgID, "broker": result.MessageQueue.BrokerName,
		"queue": result.MessageQueue.QueueId, "queue_offset": result.QueueOffset, "region": result.RegionID,
	}
}

func failed(how string, number int, err error) {
	line{"event": "failed", "how": how, "number": number, "class": "error", "code": nil, "text": err.Error()}.print()
}
