// advice gives each kind of advice about huge pages for a block of its own, touched whole, and
// prints how large a block is, and how often the kernel refused to make huge pages of one at once,
// which it may do for lack of them; then it waits for the end of its input.
package main

import "C"
import (
	"fmt"
	"os"
	"syscall"
	"unsafe"
)

const (
	huge       = 2 << 20
	blockBytes = 4 * huge

	adviseHugePage   = 14
	adviseNoHugePage = 15
	adviseCollapse   = 25

	collapseTries = 20
)

// block is aligned as huge pages are, with nothing beside it that could be joined.
func block() []byte {
	all, err := syscall.Mmap(-1, 0, blockBytes+2*huge, syscall.PROT_NONE,
		syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		panic(err)
	}
	start := uintptr(unsafe.Pointer(&all[0]))
	skip := (huge - start%huge) % huge
	if skip == 0 {
		skip = huge
	}
	bytes := all[skip : skip+blockBytes : skip+blockBytes]
	if err := syscall.Mprotect(bytes, syscall.PROT_READ|syscall.PROT_WRITE); err != nil {
		panic(err)
	}
	return bytes
}

func touch(bytes []byte) {
	for at := 0; at < len(bytes); at += 4096 {
		bytes[at] = 1
	}
}

//go:noinline
func wanted() error {
	bytes := block()
	err := syscall.Madvise(bytes, adviseHugePage)
	touch(bytes)
	return err
}

//go:noinline
func unwanted() error {
	bytes := block()
	err := syscall.Madvise(bytes, adviseNoHugePage)
	touch(bytes)
	return err
}

//go:noinline
func collapsed() (refusals int) {
	bytes := block()
	touch(bytes)
	for refusals < collapseTries && syscall.Madvise(bytes, adviseCollapse) != nil {
		refusals++
	}
	return refusals
}

//go:noinline
func refused() error {
	return syscall.Madvise(block(), 12345)
}

func main() {
	for _, err := range []error{wanted(), unwanted()} {
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
	}
	if refused() != syscall.EINVAL {
		panic("not refused")
	}
	refusals := collapsed()
	fmt.Printf("{\"block\": %d, \"refusals\": %d, \"collapsed\": %t}\n", blockBytes, refusals,
		refusals < collapseTries)
	os.Stdin.Read(make([]byte, 1))
}
