// touch touches fresh memory in one way: touch WAY PAGES. On a goroutine's stack, in C that Go has
// called, in Go that C has called. It says "ready", reads a line, touches, and says where the memory
// lies and which function touched it.
package main

/*
#include <stdint.h>

void touch_in_c(char *memory, uintptr_t bytes);
void touch_in_odd_c(char *memory, uintptr_t bytes);
void call_go(char *memory, uintptr_t bytes);
uintptr_t address_in_c(void);
uintptr_t address_in_odd_c(void);
*/
import "C"

import (
	"bufio"
	"fmt"
	"os"
	"reflect"
	"strconv"
	"syscall"
	"unsafe"
)

//go:noinline
func touchInGo(memory []byte) {
	for at := 0; at < len(memory); at += 4096 {
		memory[at] = 1
	}
}

//go:noinline
func pass(depth int, way func()) int {
	if depth == 0 {
		way()
		return 1
	}
	return pass(depth-1, way) + 1
}

//export goFromC
func goFromC(memory *C.char, bytes C.uintptr_t) {
	touchInGo(unsafe.Slice((*byte)(unsafe.Pointer(memory)), int(bytes)))
}

func main() {
	pages, _ := strconv.Atoi(os.Args[2])
	memory, err := syscall.Mmap(-1, 0, pages*4096, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_PRIVATE|syscall.MAP_ANON)
	if err != nil {
		panic(err)
	}
	syscall.Madvise(memory, 15) // MADV_NOHUGEPAGE
	first := (*C.char)(unsafe.Pointer(&memory[0]))
	bytes := C.uintptr_t(len(memory))
	toucher := uintptr(reflect.ValueOf(touchInGo).Pointer())
	fmt.Println("ready")
	input := bufio.NewReader(os.Stdin)
	input.ReadString('\n')
	done := make(chan bool)
	go func() {
		pass(4, func() {
			switch os.Args[1] {
			case "goroutine":
				touchInGo(memory)
			case "to-c":
				toucher = uintptr(C.address_in_c())
				C.touch_in_c(first, bytes)
			case "to-odd-c":
				toucher = uintptr(C.address_in_odd_c())
				C.touch_in_odd_c(first, bytes)
			case "from-c":
				C.call_go(first, bytes)
			}
		})
		done <- true
	}()
	<-done
	fmt.Printf("{\"figures\":{\"toucher_at\":%d,\"main_at\":%d,\"memory_at\":%d,\"memory_bytes\":%d}}\n",
		toucher, reflect.ValueOf(pass).Pointer(), uintptr(unsafe.Pointer(first)), len(memory))
	input.ReadString('\n')
}
