// The official Go client, unmodified, driven through scenarios.
//
// Usage: `battery` reads scenarios from standard input, one a line, as `NAMESERVERS SCENARIO TOPIC [ARGUMENT...]`
// separated by tabs, and runs them one after another; `battery NAMESERVERS SCENARIO TOPIC [ARGUMENT...]` runs a single
// one. It writes JSON lines as the Java battery does: what went in, what came back; the last line of a scenario is
// `done`, or `crashed` with the reason. `done` says that the scenario ran to its end, not that the answers were right:
// the caller compares.
package main

import (
	"bufio"
	"fmt"
	"os"
	"runtime/debug"
	"strconv"
	"strings"

	"github.com/apache/rocketmq-client-go/v2/rlog"
)

const longestLine = 1 << 20

func main() {
	rlog.SetLogLevel("warn")
	if len(os.Args) > 1 {
		report(os.Args[1:])
		return
	}
	input := bufio.NewScanner(os.Stdin)
	input.Buffer(nil, longestLine)
	for input.Scan() {
		report(strings.Split(input.Text(), "\t"))
	}
}

func report(words []string) {
	defer func() {
		if failure := recover(); failure != nil {
			line{"event": "crashed", "scenario": words[1], "text": fmt.Sprintf("%v\n%s", failure, debug.Stack())}.print()
		}
	}()
	run(words[0], words[1], words[2], words[3:])
	line{"event": "done", "scenario": words[1]}.print()
}

func run(nameServers, scenario, topic string, rest []string) {
	switch scenario {
	case "create-topic":
		createTopic(nameServers, topic, number(rest, 0))
	case "sync":
		sendSync(nameServers, topic, number(rest, 0))
	case "async":
		sendAsync(nameServers, topic, number(rest, 0))
	case "oneway":
		sendOneWay(nameServers, topic, number(rest, 0))
	case "batch":
		sendBatch(nameServers, topic, number(rest, 0))
	case "delayed":
		sendDelayed(nameServers, topic, number(rest, 0), number(rest, 1))
	case "unknown-topic":
		sendToUnknown(nameServers, topic)
	case "pull":
		pullAll(nameServers, topic)
	case "edges":
		pullAtTheEnd(nameServers, topic)
	case "committed":
		committed(nameServers, topic, rest[0])
	case "push":
		push(nameServers, topic, rest[0], rest[1], rest[2], number(rest, 3))
	case "push-broadcast":
		pushBroadcast(nameServers, topic, rest[0], rest[1], number(rest, 2), number(rest, 3))
	case "push-orderly":
		pushOrderly(nameServers, topic, rest[0], number(rest, 1), number(rest, 2))
	case "push-retry":
		retry(nameServers, topic, rest[0], number(rest, 1), number(rest, 2))
	case "push-retry-orderly":
		retryOrderly(nameServers, topic, rest[0], number(rest, 1))
	case "long-producer":
		endlessProducer(nameServers, topic)
	case "long-push":
		endlessPush(nameServers, topic, rest[0])
	default:
		panic("no scenario " + scenario)
	}
}

func number(words []string, at int) int {
	value, err := strconv.Atoi(words[at])
	must(err)
	return value
}

// must ends the scenario, which then says `crashed`.
func must(err error) {
	if err != nil {
		panic(err)
	}
}
