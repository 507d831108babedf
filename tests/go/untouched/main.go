// untouched keeps slices and channels of 2 to 4 MiB of pointers that it never touches, and prints
// what the runtime counts of them and what of its memory is resident.
package main

import "C"
import (
	"fmt"
	"os"
	"runtime"
)

const (
	slices     = 64
	sliceBytes = 4 << 20
	channels   = 64
	channelLen = 2 << 20 / 8
)

type held struct {
	slices   [][]*int
	channels []chan *int
}

//go:noinline
func (h *held) keepSlice() {
	h.slices = append(h.slices, make([]*int, sliceBytes/8))
}

//go:noinline
func (h *held) keepChannel() {
	// What a channel has beside its elements comes in front of them.
	h.channels = append(h.channels, make(chan *int, channelLen-16))
}

// keepSlices is inlined, where the compiler may.
func (h *held) keepSlices() {
	for i := 0; i < slices; i++ {
		h.keepSlice()
	}
}

// resident reads the size and what is resident of it.
func resident() (virtual, rss uint64) {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		panic(err)
	}
	fmt.Sscan(string(text), &virtual, &rss)
	page := uint64(os.Getpagesize())
	return virtual * page, rss * page
}

func main() {
	var h held
	_, before := resident()
	h.keepSlices()
	for i := 0; i < channels; i++ {
		h.keepChannel()
	}
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	_, after := resident()
	fmt.Printf("{\"heap_in_use\": %d, \"rss_before\": %d, \"rss_after\": %d}\n", stats.HeapInuse,
		before, after)
	runtime.KeepAlive(&h)
}
