// causes has most of its memory for one reason, by its argument, and answers each line of its input
// with what the runtime counts. An empty line does what the argument says, "free" calls
// debug.FreeOSMemory, "touch" writes to all large blocks, a number is a memory limit in MiB, and
// what is none of these does nothing more.
package main

import (
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
)

const mebibyte = 1 << 20

var (
	kept    [][]byte
	nodes   []*node
	stats   runtime.MemStats
	line    [1024]byte
	release = make(chan bool)
)

type node struct {
	words [12]uint64
	next  *node
}

// live keeps what it has allocated, large and small.
func live() {
	kept, nodes = nil, nil
	for i := 0; i < 24; i++ {
		kept = append(kept, fill(make([]byte, mebibyte)))
	}
	for i := 0; i < 200000; i++ {
		nodes = append(nodes, &node{words: [12]uint64{1}})
	}
	runtime.GC()
	runtime.GC()
}

// garbage lets go of much more than it keeps, and the next collection is not yet due.
func garbage() {
	if kept == nil {
		debug.SetGCPercent(400)
		for i := 0; i < 16; i++ {
			kept = append(kept, fill(make([]byte, mebibyte)))
		}
	}
	runtime.GC()
	for i := 0; i < 52*16; i++ {
		kept[0] = fill(make([]byte, mebibyte/16))
	}
}

// fragments keeps one object in sixteen.
func fragments() {
	var all []*node
	if nodes != nil {
		return
	}
	for i := 0; i < 400000; i++ {
		all = append(all, &node{words: [12]uint64{1}})
	}
	for i := 0; i < len(all); i += 16 {
		nodes = append(nodes, all[i])
	}
	all = nil
	runtime.GC()
	runtime.GC()
}

//go:noinline
func deep(levels int, ready chan bool) int {
	var room [64]uint64
	room[levels%64] = uint64(levels)
	if levels == 0 {
		ready <- true
		<-release
		return int(room[0])
	}
	return deep(levels-1, ready) + int(room[levels%64])
}

// parked has goroutines that wait, and have needed a deep stack.
func parked(count int) {
	ready := make(chan bool)
	for i := runtime.NumGoroutine(); i <= count; i++ {
		go deep(8, ready) // parked
		<-ready
	}
}

// idle has needed more than it does now.
func idle() {
	for i := 0; i < 128; i++ {
		kept = append(kept, fill(make([]byte, mebibyte)))
	}
	kept = nil
	runtime.GC()
}

// untouched has blocks that were never written: fresh from the kernel, so nobody has to zero them.
// A collection meanwhile might let the runtime use pages that are not fresh.
func untouched() {
	debug.SetGCPercent(-1)
	for len(kept) < 4 {
		kept = append(kept, make([]byte, 16*mebibyte))
	}
}

// reused has blocks that it has not written to where others were before.
func reused() {
	debug.SetGCPercent(-1)
	for len(kept) < 4 {
		kept = append(kept, fill(make([]byte, 16*mebibyte)))
	}
	kept = nil
	runtime.GC()
	untouched()
}

func fill(block []byte) []byte {
	for at := 0; at < len(block); at += 4096 {
		block[at] = 1
	}
	return block
}

func add(text []byte, name string, value uint64) []byte {
	if len(text) == 0 {
		text = append(text, '{')
	} else {
		text = append(text, ", "...)
	}
	text = append(text, '"')
	text = append(text, name...)
	text = append(text, `": `...)
	return strconv.AppendUint(text, value, 10)
}

// tell allocates nothing, so that what it says stays true.
func tell() {
	runtime.ReadMemStats(&stats)
	text := add(line[:0], "heap_alloc", stats.HeapAlloc)
	text = add(text, "heap_in_use", stats.HeapInuse)
	text = add(text, "heap_idle", stats.HeapIdle)
	text = add(text, "heap_released", stats.HeapReleased)
	text = add(text, "stack_in_use", stats.StackInuse)
	text = append(text, "}\n"...)
	os.Stdout.Write(text)
}

func obey(command string) {
	if command == "free" {
		debug.FreeOSMemory()
	} else if limit, err := strconv.ParseInt(command, 10, 64); err == nil {
		debug.SetMemoryLimit(limit * mebibyte)
	} else if command == "touch" {
		for _, block := range kept {
			fill(block)
		}
	} else if command == "" {
		ways[os.Args[1]]()
	}
}

var ways map[string]func()

func main() {
	ways = map[string]func(){"live": live, "garbage": garbage, "fragments": fragments,
		"parked": func() { parked(10000) }, "many": func() { parked(50000) },
		"idle": idle, "untouched": untouched, "reused": reused, "malloc": malloc}
	var input [64]byte
	for {
		count, _ := os.Stdin.Read(input[:])
		if count == 0 {
			break
		}
		obey(strings.TrimSpace(string(input[:count])))
		tell()
	}
	runtime.KeepAlive(kept)
	runtime.KeepAlive(nodes)
}
