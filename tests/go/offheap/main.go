// offheap keeps memory in each way that Go code has, and says how much by its own books: objects, mappings of its own
// (private, shared, of a file), C blocks where built with C. Then it waits for its input to end.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
	"syscall"
	"unsafe"
)

const (
	chunk      = 8 << 20
	chunks     = 4
	objects    = 48
	objectSize = 1 << 20
	page       = 4096
)

type cache struct{ blocks [][]byte }

var (
	own  cache
	kept [][]byte
)

func touch(block []byte, bytes int) {
	for at := 0; at < bytes; at += page {
		block[at] = 1
	}
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

//go:noinline
func (c *cache) grow() []byte {
	block, err := syscall.Mmap(-1, 0, chunk, syscall.PROT_READ|syscall.PROT_WRITE,
		syscall.MAP_ANON|syscall.MAP_PRIVATE)
	check(err)
	c.blocks = append(c.blocks, block)
	return block
}

// growRaw does as golang.org/x/sys/unix and many caches do.
//
//go:noinline
func (c *cache) growRaw() []byte {
	at, _, errno := syscall.Syscall6(syscall.SYS_MMAP, 0, chunk,
		syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE, ^uintptr(0), 0)
	if errno != 0 {
		panic(errno)
	}
	block := unsafe.Slice((*byte)(*(*unsafe.Pointer)(unsafe.Pointer(&at))), chunk)
	c.blocks = append(c.blocks, block)
	return block
}

//go:noinline
func mapFile(flags int) []byte {
	file, err := os.CreateTemp("", "offheap")
	check(err)
	check(os.Remove(file.Name()))
	check(file.Truncate(chunk))
	block, err := syscall.Mmap(int(file.Fd()), 0, chunk, syscall.PROT_READ|syscall.PROT_WRITE, flags)
	check(err)
	check(file.Close())
	return block
}

//go:noinline
func mapShared() []byte {
	block, err := syscall.Mmap(-1, 0, chunk, syscall.PROT_READ|syscall.PROT_WRITE,
		syscall.MAP_ANON|syscall.MAP_SHARED)
	check(err)
	return block
}

//go:noinline
func allocate() {
	for i := 0; i < objects; i++ {
		object := make([]byte, objectSize)
		touch(object, objectSize)
		kept = append(kept, object)
	}
}

func main() {
	for i := 0; i < chunks; i++ {
		touch(own.grow(), chunk/2)
		touch(own.growRaw(), chunk/2)
	}
	file := mapFile(syscall.MAP_SHARED)
	touch(file, chunk)
	shared := mapShared()
	touch(shared, chunk)
	cBytes := callC()
	allocate()
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	said, err := json.Marshal(map[string]uint64{
		"mapped": 2 * chunks * chunk, "mapped_touched": 2 * chunks * chunk / 2,
		"file": chunk, "shared": chunk, "c": uint64(cBytes), "heap_sys": stats.HeapSys + stats.StackInuse,
		"heap_idle": stats.HeapIdle, "heap_in_use": stats.HeapInuse, "stack_in_use": stats.StackInuse,
		"heap_released": stats.HeapReleased, "objects": objects * objectSize})
	check(err)
	fmt.Println(string(said))
	_, err = io.Copy(io.Discard, os.Stdin)
	check(err)
	runtime.KeepAlive(kept)
	runtime.KeepAlive(file)
	runtime.KeepAlive(shared)
}
