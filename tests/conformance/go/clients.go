package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	rocketmq "github.com/apache/rocketmq-client-go/v2"
	"github.com/apache/rocketmq-client-go/v2/admin"
	"github.com/apache/rocketmq-client-go/v2/consumer"
	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/producer"
)

const waitLimit = 30 * time.Second

var (
	producers = map[string]rocketmq.Producer{}
	instances atomic.Int64
	// Master that took the last message, as the client's interceptor was told.
	lastBroker atomic.Value
)

func addresses(nameServers string) primitive.NamesrvAddr {
	return strings.Split(nameServers, ";")
}

// instanceName is new for each consumer: one that is shut down closes its connections, and the broker forgets it, which
// the client does not ask for by itself.
func instanceName() string {
	return fmt.Sprintf("battery-%d-%d", os.Getpid(), instances.Add(1))
}

// chosenOrNext takes the queue that a message names, and else the client's choice.
type chosenOrNext struct {
	next producer.QueueSelector
}

func (c chosenOrNext) Select(
	message *primitive.Message, queues []*primitive.MessageQueue, lastBrokerName string,
) *primitive.MessageQueue {
	if message.Queue != nil {
		return message.Queue
	}
	return c.next.Select(message, queues, lastBrokerName)
}

// theProducer is the only one for a list of NameServers; nobody shuts it down.
func theProducer(nameServers string) rocketmq.Producer {
	if started, found := producers[nameServers]; found {
		return started
	}
	started, err := rocketmq.NewProducer(
		producer.WithNameServer(addresses(nameServers)),
		producer.WithGroupName("battery-producer"),
		producer.WithInstanceName(instanceName()),
		// One attempt is one line: a retry inside the client would hide a message that was stored twice.
		producer.WithRetry(0),
		producer.WithQueueSelector(chosenOrNext{producer.NewRoundRobinQueueSelector()}),
		producer.WithInterceptor(noteBroker),
	)
	must(err)
	must(started.Start())
	producers[nameServers] = started
	return started
}

func noteBroker(ctx context.Context, request, reply any, next primitive.Invoker) error {
	err := next(ctx, request, reply)
	if sent, found := primitive.GetProducerCtx(ctx); found {
		lastBroker.Store(sent.BrokerAddr)
	}
	return err
}

// createTopic makes a topic on the one group's master. The client's admin wants the address told, has no call that
// tells it, and takes every answer for a success: so a message is sent first, and the route is read afterwards.
func createTopic(nameServers, topic string, queues int) {
	_, err := theProducer(nameServers).SendSync(context.Background(),
		primitive.NewMessage("battery-finds-the-master", []byte("x")))
	must(err)
	tool := theAdmin(nameServers)
	defer tool.Close()
	must(tool.CreateTopic(context.Background(), admin.WithTopicCreate(topic),
		admin.WithBrokerAddrCreate(lastBroker.Load().(string)),
		admin.WithReadQueueNums(queues), admin.WithWriteQueueNums(queues)))
	awaitRoute(tool, topic, queues)
	line{"event": "topic", "topic": topic, "queues": queues}.print()
}

func theAdmin(nameServers string) admin.Admin {
	tool, err := admin.NewAdmin(admin.WithResolver(primitive.NewPassthroughResolver(addresses(nameServers))))
	must(err)
	return tool
}

// awaitRoute waits until the NameServers show a topic with at least so many queues, and returns them.
func awaitRoute(tool admin.Admin, topic string, queues int) []*primitive.MessageQueue {
	for deadline := time.Now().Add(waitLimit); ; time.Sleep(20 * time.Millisecond) {
		found, err := tool.FetchPublishMessageQueues(context.Background(), topic)
		if err == nil && len(found) >= queues {
			return found
		}
		if time.Now().After(deadline) {
			panic(fmt.Sprintf("%s has %d queues after %v: %v", topic, len(found), waitLimit, err))
		}
	}
}

func queuesOf(nameServers, topic string) []*primitive.MessageQueue {
	tool := theAdmin(nameServers)
	defer tool.Close()
	return awaitRoute(tool, topic, 1)
}

func pushConsumer(nameServers, group string, options ...consumer.Option) rocketmq.PushConsumer {
	made, err := rocketmq.NewPushConsumer(append([]consumer.Option{
		consumer.WithNameServer(addresses(nameServers)),
		consumer.WithGroupName(group),
		consumer.WithInstance(instanceName()),
		consumer.WithConsumeFromWhere(consumer.ConsumeFromFirstOffset),
	}, options...)...)
	must(err)
	return made
}

// awaitEndOfInput closes the channel when standard input ends.
var awaitEndOfInput = sync.OnceValue(func() <-chan struct{} {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for buffer := make([]byte, 64); ; {
			if _, err := os.Stdin.Read(buffer); err != nil {
				return
			}
		}
	}()
	return ended
})
