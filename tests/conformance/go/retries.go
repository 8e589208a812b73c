package main

import (
	"context"
	"time"

	"github.com/apache/rocketmq-client-go/v2/consumer"
	"github.com/apache/rocketmq-client-go/v2/primitive"
)

const (
	maxRetries = 2
	poison     = "TagA"
	retryLimit = 70 * time.Second
)

// retry refuses every message of one tag, with a delay level of our choice, or 0 for the broker's, until it lies in the
// dead-letter topic of the group.
func retry(nameServers, topic, group string, deliveries, delayLevel int) {
	awaitRetryTopic(nameServers, topic, group)
	all := newCollected()
	pusher := pushConsumer(nameServers, group, consumer.WithMaxReconsumeTimes(maxRetries))
	subscribe(pusher, topic, "*", func(ctx context.Context, messages ...*primitive.MessageExt) (consumer.ConsumeResult, error) {
		message := messages[0]
		all.add(found("consumed", message), message)
		if message.GetTags() != poison {
			return consumer.ConsumeSuccess, nil
		}
		how, _ := primitive.GetConcurrentlyCtx(ctx)
		how.DelayLevelWhenNextConsume = delayLevel
		return consumer.ConsumeRetryLater, nil
	})
	finish(pusher, all, deliveries, retryLimit)
}

// retryOrderly does the same in order: the queue waits, the client counts, and gives the message away at last.
func retryOrderly(nameServers, topic, group string, deliveries int) {
	all := newCollected()
	pusher := pushConsumer(nameServers, group, consumer.WithConsumerOrder(true), consumer.WithMaxReconsumeTimes(maxRetries))
	subscribe(pusher, topic, "*", func(_ context.Context, messages ...*primitive.MessageExt) (consumer.ConsumeResult, error) {
		message := messages[0]
		all.add(found("consumed", message), message)
		if message.GetTags() == poison {
			return consumer.SuspendCurrentQueueAMoment, nil
		}
		return consumer.ConsumeSuccess, nil
	})
	finish(pusher, all, deliveries, consumeLimit)
}

// awaitRetryTopic lets a first member of the group make its retry topic. This client looks for the queues of a topic
// that was unknown at its start only every 30 s, and shares them out every 20 s: a group that has just come to life
// would get its first retry so late, with any server.
func awaitRetryTopic(nameServers, topic, group string) {
	first := pullConsumer(nameServers, topic, group)
	defer first.Shutdown()
	tool := theAdmin(nameServers)
	defer tool.Close()
	awaitRoute(tool, "%RETRY%"+group, 1)
}
