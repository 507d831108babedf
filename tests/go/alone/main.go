// alone holds memory that grow has taken, and then does what its argument says:
//
//	look    prints how the kernel sees this process
//	wait    prints a line, waits for one, takes more memory, and prints what it holds
//	filter  forbids itself calls that only a tracer would make, and takes more memory
package main

import (
	"bufio"
	"fmt"
	"os"
	"runtime/debug"
	"strings"
	"syscall"
	"unsafe"
)

var keep [][]byte

func grow(count int) {
	for i := 0; i < count; i++ {
		block := make([]byte, 1<<20)
		for at := range block {
			block[at] = byte(len(keep))
		}
		keep = append(keep, block)
	}
}

func growAside(count int) {
	done := make(chan bool)
	go func() { grow(count); done <- true }()
	<-done
}

func check() {
	for number, block := range keep {
		for _, found := range block {
			if found != byte(number) {
				fmt.Println("block", number, "has", found)
				os.Exit(1)
			}
		}
	}
	fmt.Println("holds", len(keep))
}

// The runtime sends SIGURG to its own threads at any time.
func withoutPreemption(line string) string {
	var pending uint64
	name, rest, _ := strings.Cut(line, ":")
	if name != "SigPnd" && name != "ShdPnd" {
		return line
	}
	fmt.Sscanf(rest, "%x", &pending)
	return fmt.Sprintf("%s: %016x", name, pending&^(1<<(syscall.SIGURG-1)))
}

func look() {
	status, _ := os.ReadFile("/proc/self/status")
	for _, line := range strings.Split(string(status), "\n") {
		for _, name := range []string{"TracerPid", "Sig", "Shd", "Seccomp", "NoNewPrivs", "Cap", "FDSize", "Umask"} {
			if strings.HasPrefix(line, name) && !strings.HasPrefix(line, "SigQ") {
				fmt.Println(withoutPreemption(line))
			}
		}
	}
	maps, _ := os.ReadFile("/proc/self/maps")
	for _, line := range strings.Split(string(maps), "\n") {
		if strings.Contains(line, " rwx") {
			fmt.Println("writable and executable:", line)
		}
	}
	for fd := 0; fd < 64; fd++ {
		flags, _, errno := syscall.Syscall(syscall.SYS_FCNTL, uintptr(fd), syscall.F_GETFD, 0)
		if errno == 0 {
			fmt.Println("descriptor", fd, flags)
		}
	}
}

type instruction struct {
	code   uint16
	yes    uint8
	no     uint8
	number uint32
}

type program struct {
	count        uint16
	instructions *instruction
}

func forbid() {
	forbidden := []uint32{27, 98, 228, 257, 309, 310, 312} // mincore getrusage clock_gettime openat getcpu process_vm_readv kcmp
	list := []instruction{{0x20, 0, 0, 0}}                  // load the number
	for _, number := range forbidden {
		list = append(list, instruction{0x15, 0, 1, number}, instruction{0x06, 0, 0, 0x80000000})
	}
	list = append(list, instruction{0x06, 0, 0, 0x7fff0000})
	filter := program{uint16(len(list)), &list[0]}
	syscall.Syscall6(syscall.SYS_PRCTL, 38, 1, 0, 0, 0, 0)
	if _, _, errno := syscall.Syscall(317, 1, 1, uintptr(unsafe.Pointer(&filter))); errno != 0 {
		fmt.Println("seccomp:", errno)
		os.Exit(1)
	}
}

func main() {
	what := "look"
	if len(os.Args) > 1 {
		what = os.Args[1]
	}
	growAside(16)
	switch what {
	case "look":
		look()
	case "wait":
		fmt.Println(os.Getpid())
		bufio.NewReader(os.Stdin).ReadString('\n')
		growAside(16)
		keep = keep[:24]
		debug.FreeOSMemory()
	case "filter":
		forbid()
		growAside(16)
		keep = keep[:24]
		debug.FreeOSMemory()
	}
	check()
}
