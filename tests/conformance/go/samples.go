package main

import (
	"bytes"
	"fmt"
	"math/rand"
	"strconv"
	"strings"

	"github.com/apache/rocketmq-client-go/v2/primitive"
)

var tags = []string{"TagA", "TagB", "", "中文"}

// sample makes a message of everything a producer can set: size, bytes, tag, keys, user properties, flag. The n-th one
// is always the same, and describe writes it down before the client touches it.
func sample(topic string, number int) *primitive.Message {
	message := primitive.NewMessage(topic, body(number))
	message.WithTag(tags[number%len(tags)])
	switch number % 3 {
	case 0:
		message.WithKeys([]string{fmt.Sprintf("key-%d", number)})
	case 1:
		message.WithKeys([]string{fmt.Sprintf("key-%d", number), fmt.Sprintf("other-%d", number)})
	}
	message.Flag = int32(number)
	message.WithProperty("number", strconv.Itoa(number))
	message.WithProperty("name", `Grüße 你好 =&"\`)
	if number%7 == 0 {
		message.WithProperty("long", strings.Repeat("v", 3000))
	}
	if number%5 == 4 {
		message.WithProperty(primitive.PropertyWaitStoreMsgOk, "false")
	}
	return message
}

func body(number int) []byte {
	switch number % 6 {
	case 0:
		return []byte(fmt.Sprintf("plain %d", number))
	case 1:
		return []byte(fmt.Sprintf("größer 消息 😀 %d", number))
	case 2:
		// Over the client's threshold of 4,096 bytes, so that it travels and is stored compressed.
		return bytes.Repeat([]byte(fmt.Sprintf("compressible %d ", number)), 600)
	case 3:
		all := make([]byte, 256)
		for at := range all {
			all[at] = byte(at)
		}
		return all
	case 4:
		return []byte{byte(number)}
	default:
		random := make([]byte, 100_000)
		rand.New(rand.NewSource(int64(number))).Read(random)
		return random
	}
}

// describe says what goes in, taken before the message is sent: the client adds to it while sending.
func describe(message *primitive.Message) line {
	properties := message.GetProperties()
	for _, name := range []string{primitive.PropertyTags, primitive.PropertyKeys, primitive.PropertyWaitStoreMsgOk} {
		delete(properties, name)
	}
	return line{
		"topic": message.Topic, "body": message.Body, "tag": orNull(message.GetTags()),
		"keys": orNull(message.GetKeys()), "flag": message.Flag, "properties": properties,
	}
}

func orNull(text string) any {
	if text == "" {
		return nil
	}
	return text
}
