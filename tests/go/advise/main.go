// advise prints nanoseconds of CPU for one madvise by the syscall package, of pages that are not
// there, and of 16 that are.
package main

import "C"
import (
	"fmt"
	"syscall"
)

const (
	rounds = 50000
	bytes  = 16 << 12
)

func cpu() int64 {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		panic(err)
	}
	return usage.Utime.Nano() + usage.Stime.Nano()
}

func measure(touched bool) int64 {
	block, err := syscall.Mmap(-1, 0, bytes, syscall.PROT_READ|syscall.PROT_WRITE,
		syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		panic(err)
	}
	start := cpu()
	for i := 0; i < rounds; i++ {
		for at := 0; touched && at < bytes; at += 4096 {
			block[at] = 1
		}
		if err := syscall.Madvise(block, syscall.MADV_DONTNEED); err != nil {
			panic(err)
		}
	}
	return (cpu() - start) / rounds
}

func main() {
	fmt.Println(measure(false), measure(true))
}
