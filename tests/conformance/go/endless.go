package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/apache/rocketmq-client-go/v2/consumer"
	"github.com/apache/rocketmq-client-go/v2/primitive"
)

// endlessProducer sends one message after another until standard input ends, through whatever happens to the cluster.
func endlessProducer(nameServers, topic string) {
	ended := awaitEndOfInput()
	for number := 0; ; number++ {
		select {
		case <-ended:
			return
		default:
		}
		message := primitive.NewMessage(topic, []byte(fmt.Sprintf("long %d", number)))
		message.WithTag("Long").WithKeys([]string{fmt.Sprintf("key-%d", number)})
		message.WithProperty("number", strconv.Itoa(number))
		sent := describe(message)
		line{"event": "invoked", "number": number, "at_ns": time.Now().UnixNano()}.print()
		result, err := theProducer(nameServers).SendSync(context.Background(), message)
		if err != nil {
			failed("long", number, err)
			// The client refuses at once while it knows no master: do not turn that into a busy loop.
			time.Sleep(20 * time.Millisecond)
			continue
		}
		answered("long", number, sent, result).print()
	}
}

// endlessPush consumes whatever comes until standard input ends.
func endlessPush(nameServers, topic, group string) {
	pusher := pushConsumer(nameServers, group)
	subscribe(pusher, topic, "*", func(_ context.Context, messages ...*primitive.MessageExt) (consumer.ConsumeResult, error) {
		for _, message := range messages {
			found("consumed", message).print()
		}
		return consumer.ConsumeSuccess, nil
	})
	must(pusher.Start())
	defer pusher.Shutdown()
	<-awaitEndOfInput()
}
