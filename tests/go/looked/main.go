// looked holds 300 blocks of 200 kB and 200 goroutines, prints what the runtime counts, and waits
// for the end of its input.
package main

import (
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
)

var held [][]byte

func main() {
	debug.SetGCPercent(-1)
	for i := 0; i < 300; i++ {
		block := make([]byte, 200000)
		for at := range block {
			block[at] = 1
		}
		held = append(held, block)
	}
	for i := 0; i < 200; i++ {
		go func() { select {} }()
	}
	runtime.Gosched()
	line := make([]byte, 0, 256)
	input := make([]byte, 1)
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	for _, figure := range []uint64{stats.HeapInuse, stats.HeapIdle, stats.StackSys} {
		line = append(strconv.AppendUint(line, figure, 10), ' ')
	}
	os.Stdout.Write(append(line, '\n'))
	os.Stdin.Read(input)
	runtime.KeepAlive(held)
}
