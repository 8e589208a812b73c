package main

import (
	"context"
	"sync"
	"time"

	rocketmq "github.com/apache/rocketmq-client-go/v2"
	"github.com/apache/rocketmq-client-go/v2/consumer"
	"github.com/apache/rocketmq-client-go/v2/primitive"
)

const markerTag = "MARKER"

type listener = func(context.Context, ...*primitive.MessageExt) (consumer.ConsumeResult, error)

// push consumes `count` messages. `where` is `first` or `last`.
func push(nameServers, topic, group, expression, where string, count int) {
	consumeAll := newCollected()
	pusher := pushConsumer(nameServers, group, startAt(where))
	subscribe(pusher, topic, expression, collectAll(consumeAll))
	finish(pusher, consumeAll, count, consumeLimit)
}

// pushBroadcast consumes with offsets that lie with the client: `old` messages that are there already are expected, and
// `fresh` ones that are sent meanwhile.
func pushBroadcast(nameServers, topic, group, where string, old, fresh int) {
	all := newCollected()
	defer all.close()
	taken := markers{seen: map[int]bool{}}
	pusher := pushConsumer(nameServers, group, startAt(where), consumer.WithConsumerModel(consumer.BroadCasting))
	collect := collectAll(all)
	subscribe(pusher, topic, "*", func(ctx context.Context, messages ...*primitive.MessageExt) (consumer.ConsumeResult, error) {
		if messages[0].GetTags() == markerTag {
			taken.add(messages[0].Queue.QueueId)
			return consumer.ConsumeSuccess, nil
		}
		return collect(ctx, messages...)
	})
	must(pusher.Start())
	defer pusher.Shutdown()
	// A queue is taken with the offset where its reading begins; only what is sent after that is new. The client does
	// not tell when it has taken one, but a marker that comes back does.
	queues := queuesOf(nameServers, topic)
	for deadline := time.Now().Add(consumeLimit); taken.count() < len(queues) && time.Now().Before(deadline); {
		for _, queue := range queues {
			marker := primitive.NewMessage(topic, []byte("marker")).WithTag(markerTag)
			marker.Queue = queue
			_, err := theProducer(nameServers).SendSync(context.Background(), marker)
			must(err)
		}
		time.Sleep(50 * time.Millisecond)
	}
	sendSync(nameServers, topic, fresh)
	all.await(old+fresh, consumeLimit)
}

// pushOrderly consumes `count` messages queue by queue, and holds a queue up once at its `stumble`-th message.
func pushOrderly(nameServers, topic, group string, count, stumble int) {
	all := newCollected()
	pusher := pushConsumer(nameServers, group, consumer.WithConsumerOrder(true))
	subscribe(pusher, topic, "*", func(_ context.Context, messages ...*primitive.MessageExt) (consumer.ConsumeResult, error) {
		message := messages[0]
		if message.QueueOffset == int64(stumble) && message.ReconsumeTimes == 0 {
			all.add(found("suspended", message), message)
			return consumer.SuspendCurrentQueueAMoment, nil
		}
		all.add(found("consumed", message), message)
		return consumer.ConsumeSuccess, nil
	})
	finish(pusher, all, count, consumeLimit)
}

func startAt(where string) consumer.Option {
	if where == "last" {
		return consumer.WithConsumeFromWhere(consumer.ConsumeFromLastOffset)
	}
	return consumer.WithConsumeFromWhere(consumer.ConsumeFromFirstOffset)
}

func subscribe(pusher rocketmq.PushConsumer, topic, expression string, listen listener) {
	must(pusher.Subscribe(topic, consumer.MessageSelector{Type: consumer.TAG, Expression: expression}, listen))
}

func collectAll(all *collected) listener {
	return func(_ context.Context, messages ...*primitive.MessageExt) (consumer.ConsumeResult, error) {
		for _, message := range messages {
			all.add(found("consumed", message), message)
		}
		return consumer.ConsumeSuccess, nil
	}
}

func finish(pusher rocketmq.PushConsumer, all *collected, count int, limit time.Duration) {
	defer all.close()
	must(pusher.Start())
	defer pusher.Shutdown()
	all.await(count, limit)
}

// markers are the queues from which a marker has come back.
type markers struct {
	lock sync.Mutex
	seen map[int]bool
}

func (m *markers) add(queue int) {
	m.lock.Lock()
	defer m.lock.Unlock()
	m.seen[queue] = true
}

func (m *markers) count() int {
	m.lock.Lock()
	defer m.lock.Unlock()
	return len(m.seen)
}
