// profile keeps objects of several functions and sizes, and answers each line of its input with its
// own heap profile, in the file that its argument names. "exact" behind it samples every object,
// and "more" makes more of one of them.
package main

import (
	"bytes"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"strings"
	"syscall"
)

var (
	blocks  [][]byte
	nodes   []*node
	buffers []*bytes.Buffer
	texts   []string
	inputs  [1]byte
)

type node struct {
	words [12]uint64
	next  *node
}

type maker interface{ make() }

type pages struct{ count int }

//go:noinline
func (p *pages) make() {
	for i := 0; i < p.count; i++ {
		blocks = append(blocks, make([]byte, 24<<10))
	}
}

//go:noinline
func large(written int) {
	for i := 0; i < 8; i++ {
		block := make([]byte, 3<<20)
		for at := 0; at < written; at += 4096 {
			block[at] = 1
		}
		blocks = append(blocks, block)
	}
}

// newNode is inlined.
func newNode(next *node) *node {
	return &node{next: next}
}

//go:noinline
func small() {
	for i := 0; i < 60000; i++ {
		nodes = append(nodes, newNode(nil))
	}
}

//go:noinline
func library() {
	for i := 0; i < 40; i++ {
		buffer := &bytes.Buffer{}
		buffer.Write(make([]byte, 100000))
		buffers = append(buffers, buffer)
		texts = append(texts, strings.Repeat("text", 5000))
	}
}

//go:noinline
func garbage() {
	var all []*node
	for i := 0; i < 50000; i++ {
		all = append(all, newNode(nil))
	}
	runtime.KeepAlive(all)
}

func answer(path string) {
	file, err := os.Create(path)
	if err != nil {
		os.Exit(1)
	}
	if pprof.WriteHeapProfile(file) != nil {
		os.Exit(1)
	}
	file.Close()
}

// noHugePages keeps the kernel from bringing more into RAM than is written.
func noHugePages() {
	const setHugePagesDisabled = 41 // PR_SET_THP_DISABLE
	syscall.RawSyscall6(syscall.SYS_PRCTL, setHugePagesDisabled, 1, 0, 0, 0, 0)
}

func main() {
	noHugePages()
	count, written := 200, 1<<20
	for _, word := range os.Args[2:] {
		if word == "exact" {
			runtime.MemProfileRate = 1
		}
		if word == "more" {
			count += 100
			written += 1 << 20
		}
	}
	debug.SetGCPercent(-1)
	(&pages{count}).make()
	large(written)
	small()
	library()
	garbage()
	done := make(chan bool)
	go func() {
		var all maker = &pages{100}
		all.make()
		done <- true
	}()
	<-done
	runtime.GC()
	runtime.GC()
	for {
		if n, _ := os.Stdin.Read(inputs[:]); n == 0 {
			return
		}
		answer(os.Args[1])
		os.Stdout.WriteString("written\n")
	}
}
