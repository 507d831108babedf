// raw maps, protects, advises and unmaps memory by the syscall package, from goroutines.
package main

import "C"
import (
	"fmt"
	"os/exec"
	"sync"
	"syscall"
)

const (
	workers = 8
	rounds  = 50
	bytes   = 16 << 12
)

//go:noinline
func round(size int) {
	block, err := syscall.Mmap(-1, 0, size, syscall.PROT_READ|syscall.PROT_WRITE,
		syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		panic(err)
	}
	block[0] = 1
	if err := syscall.Mprotect(block, syscall.PROT_READ); err != nil {
		panic(err)
	}
	if err := syscall.Madvise(block, syscall.MADV_DONTNEED); err != nil {
		panic(err)
	}
	if block[0] != 0 {
		panic("still there")
	}
	if err := syscall.Madvise(block, 12345); err != syscall.EINVAL {
		panic("no error")
	}
	if err := syscall.Munmap(block); err != nil {
		panic(err)
	}
}

// deep runs on a stack that is nearly used up at some of the depths.
//
//go:noinline
func deep(depth int) int {
	var room [64]byte
	if depth == 0 {
		round(bytes)
		return int(room[0])
	}
	return deep(depth-1) + int(room[depth%64])
}

// child calls prctl between fork and exec, on its parent's memory.
func child() {
	command := exec.Command("true")
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	if err := command.Run(); err != nil {
		panic(err)
	}
}

func main() {
	var group sync.WaitGroup
	for i := 0; i < workers; i++ {
		group.Add(1)
		go func() {
			defer group.Done()
			for n := 0; n < rounds; n++ {
				deep(n)
			}
		}()
	}
	child()
	group.Wait()
	fmt.Printf("{\"calls\": %d, \"bytes\": %d}\n", workers*rounds, bytes)
}
