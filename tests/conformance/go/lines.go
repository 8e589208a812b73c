package main

import (
	"bytes"
	"encoding/json"
	"os"
	"sync"
)

// line is one JSON object on standard output, the battery's whole report. Bytes are written as base64.
type line map[string]any

var output sync.Mutex

// print writes the line whole, so that goroutines do not mix.
func (l line) print() {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	must(encoder.Encode(l))
	output.Lock()
	defer output.Unlock()
	_, err := os.Stdout.Write(text.Bytes())
	must(err)
}

// with returns the line with one more member.
func (l line) with(name string, value any) line {
	l[name] = value
	return l
}
