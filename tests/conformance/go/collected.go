package main

import (
	"fmt"
	"sync"
	"time"

	"github.com/apache/rocketmq-client-go/v2/primitive"
)

const (
	consumeLimit = 30 * time.Second
	// How long nothing may come after the last expected message, so that one too many shows.
	quietTime = 300 * time.Millisecond
)

// collected holds what listeners were given, printed as it comes; a scenario waits here for what it expects.
type collected struct {
	lock       sync.Mutex
	deliveries map[string]bool
	came       chan struct{}
	closed     bool
}

func newCollected() *collected {
	return &collected{deliveries: map[string]bool{}, came: make(chan struct{}, 1)}
}

// add prints and counts; nothing is printed once the scenario has ended, where it would stand among another's lines.
func (c *collected) add(said line, message *primitive.MessageExt) {
	c.lock.Lock()
	defer c.lock.Unlock()
	if c.closed {
		return
	}
	said.print()
	c.deliveries[fmt.Sprintf("%s/%d", message.MsgId, said["attempts"])] = true
	select {
	case c.came <- struct{}{}:
	default:
	}
}

func (c *collected) size() int {
	c.lock.Lock()
	defer c.lock.Unlock()
	return len(c.deliveries)
}

// await waits for as many different deliveries (message and attempt), and then until nothing more comes; it says
// `timeout` if they do not come.
func (c *collected) await(count int, limit time.Duration) {
	deadline := time.After(limit)
	for c.size() < count {
		select {
		case <-c.came:
		case <-deadline:
			line{"event": "timeout", "expected": count, "came": c.size()}.print()
			return
		}
	}
	for before := -1; before != c.size(); {
		before = c.size()
		time.Sleep(quietTime)
	}
}

func (c *collected) close() {
	c.lock.Lock()
	defer c.lock.Unlock()
	c.closed = true
}
