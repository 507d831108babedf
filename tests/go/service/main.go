// service allocates in C, half of it touched, and in Go, which it gives back; then it prints what
// the runtime counts, and does so again for each line of its input.
package main

/*
#include <stdlib.h>
#include <string.h>

__attribute__((noinline, optimize("no-omit-frame-pointer"))) static void *
grab_framed(size_t bytes)
{
	char *block = malloc(bytes);

	memset(block, 1, bytes / 2);
	return block;
}

__attribute__((noinline, optimize("omit-frame-pointer"))) static void *
grab_frameless(size_t bytes)
{
	char *block = malloc(bytes);

	memset(block, 1, bytes / 2);
	return block;
}
*/
import "C"
import (
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
)

const (
	blocks     = 64
	blockBytes = 4 << 20
	goBytes    = 100 << 20
)

var held [][]byte

//go:noinline
func worker() {
	for i := 0; i < blocks; i++ {
		C.grab_framed(blockBytes)
		C.grab_frameless(blockBytes)
	}
}

//go:noinline
func hold() {
	for i := 0; i < goBytes>>20; i++ {
		block := make([]byte, 1<<20)
		for at := 0; at < len(block); at += 4096 {
			block[at] = 1
		}
		held = append(held, block)
	}
}

var stats runtime.MemStats
var line [1024]byte

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
func tell(before uint64) {
	runtime.ReadMemStats(&stats)
	text := add(line[:0], "released_before", before)
	text = add(text, "heap_released", stats.HeapReleased)
	text = add(text, "heap_idle", stats.HeapIdle)
	text = add(text, "heap_in_use", stats.HeapInuse)
	text = add(text, "stack_in_use", stats.StackInuse)
	text = add(text, "stack_sys", stats.StackSys)
	text = add(text, "sys", stats.Sys)
	text = append(text, "}\n"...)
	os.Stdout.Write(text)
}

// wait answers lines of the input, until one says to go on.
func wait(before uint64) {
	for {
		count, _ := os.Stdin.Read(line[:])
		if count == 0 || line[0] == 'd' {
			return
		}
		tell(before)
	}
}

func main() {
	done := make(chan bool)
	go func() {
		worker()
		done <- true
	}()
	<-done
	debug.SetGCPercent(-1)
	hold()
	wait(0)
	held = nil
	runtime.GC()
	runtime.ReadMemStats(&stats)
	before := stats.HeapReleased
	debug.FreeOSMemory()
	tell(before)
	wait(before)
}
