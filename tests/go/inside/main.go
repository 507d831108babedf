// inside fills its heap in one way, by its argument, and answers each line of its input with what
// the runtime counts. The stacks of all goroutines go into the file that a second argument names.
package main

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strconv"
)

const mebibyte = 1 << 20

var (
	kept    [][]byte
	nodes   []*node
	stats   runtime.MemStats
	line    [4096]byte
	release chan bool
)

type node struct {
	words [12]uint64
	next  *node
}

// live keeps blocks that have a span each, and objects of one size.
func live() {
	for i := 0; i < 24; i++ {
		kept = append(kept, fill(make([]byte, mebibyte)))
	}
	for i := 0; i < 100000; i++ {
		nodes = append(nodes, &node{words: [12]uint64{1}})
	}
}

// garbage lets go of what it has allocated, and no collection has run since.
func garbage() {
	debug.SetGCPercent(400)
	live()
	runtime.GC()
	debug.SetGCPercent(-1)
	for i := 0; i < 200000; i++ {
		nodes[i%1000] = &node{words: [12]uint64{1}}
	}
}

// fragments keeps one object in sixteen.
func fragments() {
	var all []*node
	for i := 0; i < 200000; i++ {
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

// parked has goroutines that wait, some of them with deep stacks.
func parked() {
	release = make(chan bool)
	ready := make(chan bool)
	for i := 0; i < 1000; i++ {
		go deep(0, ready) // shallow
	}
	for i := 0; i < 50; i++ {
		go deep(100, ready) // tall
	}
	for i := 0; i < 1050; i++ {
		<-ready
	}
}

// burst has had more than it has, and keeps what the scavenger has not yet given back.
func burst() {
	live()
	kept, nodes = nil, nil
	runtime.GC()
	debug.SetGCPercent(100)
}

// untouched has blocks that were never written: fresh from the kernel, so nobody has to zero them.
func untouched() {
	for i := 0; i < 4; i++ {
		kept = append(kept, make([]byte, 8*mebibyte))
	}
}

// storm allocates, frees and collects without end, with goroutines that come and go.
func storm() {
	runtime.GOMAXPROCS(8)
	debug.SetGCPercent(10)
	for i := 0; i < 8; i++ {
		go func() {
			for {
				var mine []*node
				for j := 0; j < 2000; j++ {
					mine = append(mine, &node{words: [12]uint64{1}})
				}
				fill(make([]byte, 256<<10))
				done := make(chan int)
				go func() { done <- deeper(50) }()
				<-done
				runtime.KeepAlive(mine)
			}
		}()
	}
}

//go:noinline
func deeper(levels int) int {
	var room [64]uint64
	room[levels%64] = uint64(levels)
	if levels == 0 {
		return int(room[0])
	}
	return deeper(levels-1) + int(room[levels%64])
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

// What runtime/metrics counts, by the name it gets in an answer; some versions lack some.
var measures = []struct{ name, metric string }{
	{"objects", "/memory/classes/heap/objects:bytes"},
	{"unused", "/memory/classes/heap/unused:bytes"},
	{"free", "/memory/classes/heap/free:bytes"},
	{"released", "/memory/classes/heap/released:bytes"},
	{"stacks", "/memory/classes/heap/stacks:bytes"},
	{"os_stacks", "/memory/classes/os-stacks:bytes"},
	{"total", "/memory/classes/total:bytes"},
	{"goal", "/gc/heap/goal:bytes"},
	{"live", "/gc/heap/live:bytes"},
	{"gogc", "/gc/gogc:percent"},
	{"limit", "/gc/gomemlimit:bytes"},
}

var samples []metrics.Sample

func init() {
	for _, measure := range measures {
		samples = append(samples, metrics.Sample{Name: measure.metric})
	}
	metrics.Read(samples)
}

// tell allocates nothing, so that what it says stays true.
func tell() {
	metrics.Read(samples)
	runtime.ReadMemStats(&stats)
	text := add(line[:0], "heap_alloc", stats.HeapAlloc)
	text = add(text, "heap_in_use", stats.HeapInuse)
	text = add(text, "heap_idle", stats.HeapIdle)
	text = add(text, "heap_released", stats.HeapReleased)
	text = add(text, "stack_in_use", stats.StackInuse)
	text = add(text, "next_gc", stats.NextGC)
	text = add(text, "goroutines", uint64(runtime.NumGoroutine()))
	for i := range samples {
		// Off is math.MaxUint64.
		if samples[i].Value.Kind() == metrics.KindUint64 && samples[i].Value.Uint64()>>63 == 0 {
			text = append(text, `, "metrics_`...)
			text = append(text, measures[i].name...)
			text = append(text, `": `...)
			text = strconv.AppendUint(text, samples[i].Value.Uint64(), 10)
		}
	}
	text = append(text, "}\n"...)
	os.Stdout.Write(text)
}

func dump(path string) {
	text := make([]byte, 32*mebibyte)
	if os.WriteFile(path, text[:runtime.Stack(text, true)], 0o600) != nil {
		os.Exit(1)
	}
}

func main() {
	ways := map[string]func(){"live": live, "garbage": garbage, "fragments": fragments,
		"parked": parked, "burst": burst, "untouched": untouched,
		"storm": storm}
	debug.SetGCPercent(-1)
	ways[os.Args[1]]()
	if len(os.Args) > 2 {
		dump(os.Args[2])
	}
	var input [16]byte
	for {
		if count, _ := os.Stdin.Read(input[:]); count == 0 {
			break
		}
		tell()
	}
	runtime.KeepAlive(kept)
	runtime.KeepAlive(nodes)
}
