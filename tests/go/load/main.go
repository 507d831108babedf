// load keeps all of the runtime at work for the seconds that its argument says, and for as many of
// CPU time: a profile of it has samples on a busy machine too. It prints a sum that depends on
// nothing but the work having been done right. The environment variable PROFILE
// names a file for the profile that is taken meanwhile.
package main

/*
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

extern uint64_t callGo(uint64_t number);

static uint64_t
work(uint64_t number)
{
	uint64_t *block = malloc(4096 + number % 65536);
	uint64_t result;

	memset(block, (int)number, 4096);
	result = block[number % 512];
	free(block);
	return result;
}
*/
import "C"
import (
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

type node struct {
	left, right *node
	value       uint64
	pad         [40]byte
}

//export backInGo
func backInGo(number C.uint64_t) C.uint64_t {
	grow(20)
	return number * 3
}

func build(depth int, value uint64) *node {
	if depth == 0 {
		return &node{value: value}
	}
	return &node{build(depth-1, value*2), build(depth-1, value*2+1), value, [40]byte{}}
}

func (n *node) sum() uint64 {
	if n == nil {
		return 0
	}
	return n.value + n.left.sum() + n.right.sum()
}

// grow makes the stack grow.
//
//go:noinline
func grow(depth int) uint64 {
	var room [512]byte
	if depth == 0 {
		return uint64(room[7])
	}
	return grow(depth-1) + uint64(room[depth%512])
}

func unit(number uint64) uint64 {
	result := uint64(C.work(C.uint64_t(number)))
	result += uint64(C.callGo(C.uint64_t(number)))
	result += build(8, number).sum()
	done := make(chan uint64)
	go func() { done <- grow(int(number % 200)) }()
	block := make([]byte, 64<<10+int(number%64)<<10)
	for at := 0; at < len(block); at += 4096 {
		block[at] = byte(number)
	}
	return result + uint64(block[0]) + <-done
}

func expected(number uint64) uint64 {
	low := number & 0xff
	tree := build(8, number).sum()
	return low*0x0101010101010101 + number*3 + tree + low
}

func cpuSeconds() int {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		panic(err)
	}
	return int(usage.Utime.Sec)
}

func main() {
	seconds, _ := strconv.Atoi(os.Args[1])
	var stop atomicFlag
	var units, wrong uint64
	var group sync.WaitGroup
	var profile io.Writer = io.Discard
	if path := os.Getenv("PROFILE"); path != "" {
		file, err := os.Create(path)
		if err != nil {
			panic(err)
		}
		profile = file
	}
	if err := pprof.StartCPUProfile(profile); err != nil {
		panic(err)
	}
	defer pprof.StopCPUProfile()
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, syscall.SIGUSR1)
	for worker := uint64(0); worker < uint64(runtime.GOMAXPROCS(0)); worker++ {
		group.Add(1)
		go func(number uint64) {
			defer group.Done()
			for ; !stop.get(); number += 64 {
				if unit(number) != expected(number) {
					atomic.AddUint64(&wrong, 1)
				}
				atomic.AddUint64(&units, 1)
			}
		}(worker)
	}
	for end := time.Now().Add(time.Duration(seconds) * time.Second); time.Now().Before(end) || cpuSeconds() < seconds; {
		time.Sleep(20 * time.Millisecond)
		syscall.Kill(os.Getpid(), syscall.SIGUSR1)
		debug.FreeOSMemory()
	}
	stop.set()
	group.Wait()
	if units == 0 {
		wrong++
	}
	fmt.Printf("wrong: %d\n", wrong)
}

type atomicFlag struct{ word uint32 }

func (f *atomicFlag) get() bool { return atomic.LoadUint32(&f.word) != 0 }
func (f *atomicFlag) set()      { atomic.StoreUint32(&f.word, 1) }
