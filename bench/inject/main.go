// inject is what bench/inject.sh records: "pair COUNT" maps and unmaps 64 KiB by raw calls and prints
// the nanoseconds of its thread's CPU time a pair; "serve" answers requests with 64 KiB of fresh
// memory at the port that it prints, until its input ends.
package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"syscall"
	"unsafe"
)

const (
	rangeBytes = 64 << 10
	layouts    = 32 // as in bench/pair.c
)

func threadTime() int64 {
	var now syscall.Timespec

	syscall.RawSyscall(syscall.SYS_CLOCK_GETTIME, 3, uintptr(unsafe.Pointer(&now)), 0)
	return now.Nano()
}

func mapRange() uintptr {
	address, _, err := syscall.Syscall6(syscall.SYS_MMAP, 0, rangeBytes, syscall.PROT_READ|syscall.PROT_WRITE,
		syscall.MAP_ANON|syscall.MAP_PRIVATE, ^uintptr(0), 0)
	if err != 0 {
		panic(err)
	}
	return address
}

func pairs(count int) {
	runtime.LockOSThread()
	var taken int64
	for layout := 0; layout < layouts; layout++ {
		mapRange()
		begun := threadTime()
		for i := 0; i < count/layouts; i++ {
			syscall.Syscall(syscall.SYS_MUNMAP, mapRange(), rangeBytes, 0)
		}
		taken += threadTime() - begun
	}
	fmt.Println(taken / int64(count/layouts*layouts))
}

var last []byte

func serve() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		block := make([]byte, rangeBytes)
		for i := 0; i < len(block); i += 4096 {
			block[i] = 1
		}
		last = block
		fmt.Fprintln(w, len(block))
	})
	go http.Serve(listener, nil)
	io.Copy(io.Discard, os.Stdin)
}

func main() {
	if len(os.Args) == 3 && os.Args[1] == "pair" {
		count, _ := strconv.Atoi(os.Args[2])
		pairs(count)
	} else {
		serve()
	}
}
