// offsets prints where the Go runtime of a program keeps what is read from outside, as the debug
// information of that program says it: one row of format/go_offsets.def.
package main

import (
	"debug/dwarf"
	"debug/elf"
	"fmt"
	"os"
	"runtime"
	"strings"
)

// What the row's fields are. "?" before a path: some versions lack it. A path goes on through the members of structs, those of embedded ones
// as well; "#" behind it: how many bytes the member has, not where it is. "=": the value of a constant.
var fields = []struct{ name, structure, path string }{
	{"heap_spans", "runtime.mheap", "allspans"},
	{"heap_ranges", "runtime.mheap", "pages.inUse.ranges"},
	{"heap_chunks", "runtime.mheap", "pages.chunks"},
	{"span_bytes", "runtime.mspan", "#"},
	{"span_start", "runtime.mspan", "startAddr"},
	{"span_pages", "runtime.mspan", "npages"},
	{"span_slots", "runtime.mspan", "nelems"},
	{"span_slots_bytes", "runtime.mspan", "nelems#"},
	{"span_allocated", "runtime.mspan", "allocCount"},
	{"span_class", "runtime.mspan", "spanclass"},
	{"span_state", "runtime.mspan", "state"},
	{"span_needzero", "runtime.mspan", "needzero"},
	{"span_slot_bytes", "runtime.mspan", "elemsize"},
	{"span_specials", "runtime.mspan", "specials"},
	{"special_next", "runtime.special", "next"},
	{"special_kind", "runtime.special", "kind"},
	{"profile_kind", "runtime._KindSpecialProfile", "="},
	{"profile_bucket", "runtime.specialprofile", "b"},
	{"g_stack_low", "runtime.g", "stack.lo"},
	{"g_stack_high", "runtime.g", "stack.hi"},
	{"g_status", "runtime.g", "atomicstatus"},
	{"g_creator", "runtime.g", "gopc"},
	{"p_cache", "runtime.p", "pcache"},
	{"controller_bytes", "runtime.gcControllerState", "#"},
	{"gc_percent", "runtime.gcControllerState", "gcPercent"},
	{"memory_limit", "runtime.gcControllerState", "memoryLimit"},
	{"heap_goal", "runtime.gcControllerState", "gcPercentHeapGoal"},
	{"heap_live", "runtime.gcControllerState", "heapLive"},
	{"heap_marked", "runtime.gcControllerState", "heapMarked"},
	{"last_heap_goal", "runtime.gcControllerState", "lastHeapGoal"},
	{"heap_in_use", "runtime.gcControllerState", "heapInUse"},
	{"heap_free", "runtime.gcControllerState", "heapFree"},
	{"heap_released", "runtime.gcControllerState", "heapReleased"},
	{"statistics_bytes", "runtime.mstats", "#"},
	{"stacks_sys", "runtime.mstats", "stacks_sys"},
	{"mspan_sys", "runtime.mstats", "mspan_sys"},
	{"mcache_sys", "runtime.mstats", "mcache_sys"},
	{"buckhash_sys", "runtime.mstats", "buckhash_sys"},
	{"gc_misc_sys", "runtime.mstats", "gcMiscSys"},
	{"other_sys", "runtime.mstats", "other_sys"},
	{"last_heap_in_use", "runtime.mstats", "lastHeapInUse"},
	{"heap_stats", "runtime.mstats", "heapStats.stats"},
	{"heap_stats_bytes", "runtime.heapStatsDelta", "#"},
	{"in_stacks", "runtime.heapStatsDelta", "inStacks"},
	{"in_work_buffers", "runtime.heapStatsDelta", "inWorkBufs"},
	{"in_bits", "runtime.heapStatsDelta", "?inPtrScalarBits"},
}

func structures(program string) (map[string]*dwarf.StructType, map[string]int64) {
	found := map[string]*dwarf.StructType{}
	constants := map[string]int64{}
	file, err := elf.Open(program)
	check(err)
	data, err := file.DWARF()
	check(err)
	reader := data.Reader()
	for {
		entry, err := reader.Next()
		check(err)
		if entry == nil {
			return found, constants
		}
		name, _ := entry.Val(dwarf.AttrName).(string)
		if value, ok := entry.Val(dwarf.AttrConstValue).(int64); ok && entry.Tag == dwarf.TagConstant {
			constants[name] = value
		}
		if entry.Tag != dwarf.TagStructType || !strings.HasPrefix(name, "runtime.") {
			continue
		}
		kind, err := data.Type(entry.Offset)
		check(err)
		found[name] = kind.(*dwarf.StructType)
	}
}

func under(kind dwarf.Type) dwarf.Type {
	for {
		named, ok := kind.(*dwarf.TypedefType)
		if !ok {
			return kind
		}
		kind = named.Type
	}
}

func place(structure *dwarf.StructType, path string) int64 {
	size := strings.HasSuffix(path, "#")
	path = strings.TrimSuffix(path, "#")
	optional := strings.HasPrefix(path, "?")
	path = strings.TrimPrefix(path, "?")
	var at int64
	var kind dwarf.Type = structure
	for _, name := range strings.Split(path, ".") {
		if name == "" {
			break
		}
		outer, ok := under(kind).(*dwarf.StructType)
		kind = nil
		for i := 0; ok && i < len(outer.Field); i++ {
			if outer.Field[i].Name == name {
				at += outer.Field[i].ByteOffset
				kind = outer.Field[i].Type
			}
		}
		if kind == nil && optional {
			return -1
		}
		if kind == nil {
			fail("no " + path + " in " + structure.StructName)
		}
	}
	if size {
		return kind.Size()
	}
	return at
}

func check(err error) {
	if err != nil {
		fail(err.Error())
	}
}

func fail(why string) {
	fmt.Fprintln(os.Stderr, why)
	os.Exit(1)
}

func main() {
	all, constants := structures(os.Args[0])
	minor := strings.Split(runtime.Version(), ".")[1]
	fmt.Printf("{.minor = %s", minor)
	for _, field := range fields {
		if value, ok := constants[field.structure]; ok && field.path == "=" {
			fmt.Printf(", .%s = %d", field.name, value)
			continue
		}
		structure := all[field.structure]
		if structure == nil {
			fail("no " + field.structure)
		}
		at := fmt.Sprint(place(structure, field.path))
		if at == "-1" {
			at = "VMT_GO_NO_OFFSET"
		}
		fmt.Printf(", .%s = %s", field.name, at)
	}
	fmt.Println("},")
}
