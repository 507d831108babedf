#include "tools/model/go_classes.h"

#include <string.h>

enum verdict {
	CROSSING, /* from C to Go, in whatever sense */
	BY_CALL,  /* Go's packages for system calls: a way to the call, whoever makes it */
	GO_ON,	  /* the runtime, which is a way to the call, but no reason for it */
	AT_ONCE,  /* memory to be used at once: never an arena, which is reserved first */
	TO_C,	  /* Go code has called C code, whose call it is */
	ARENA,
	METADATA,
	STACK,
	OTHER, /* Go code outside of the runtime */
};

struct rule {
	const char *name; /* ending with '*': begins so */
	enum verdict verdict;
};

static const struct rule rules[] = {
    {"runtime.asmcgocall*", CROSSING},
    {"internal/runtime/syscall*", BY_CALL},
    {"runtime/internal/syscall*", BY_CALL},
    {"syscall.RawSyscall*", BY_CALL},
    {"syscall.Syscall*", BY_CALL},
    {"runtime.callCgoMmap*", GO_ON},
    {"runtime.mmap*", GO_ON},
    {"runtime.sysMmap*", GO_ON},
    {"runtime.sysReserve*", GO_ON},
    {"runtime.sysMap*", GO_ON},
    {"runtime.systemstack*", GO_ON},
    {"runtime.(*linearAlloc).alloc", GO_ON},
    {"runtime.sysAlloc", AT_ONCE},
    {"runtime.sysAllocOS", AT_ONCE},
    {"runtime.cgocall*", TO_C},
    {"runtime.(*mheap).sysAlloc", ARENA},
    {"runtime.(*mheap).grow", ARENA},
    {"runtime.(*mheap).allocUserArenaChunk", ARENA},
    {"runtime.(*userArena)*", ARENA},
    {"runtime.(*mheap)*", METADATA},
    {"runtime.(*pageAlloc)*", METADATA},
    {"runtime.(*scavengeIndex)*", METADATA},
    {"runtime.(*fixalloc)*", METADATA},
    {"runtime.(*spanSet)*", METADATA},
    {"runtime.(*spanQueue)*", METADATA},
    {"runtime.(*spanSPMC)*", METADATA},
    {"runtime.(*lfstack)*", METADATA},
    {"runtime.newSpanSPMC*", METADATA},
    {"runtime.persistentalloc*", METADATA},
    {"runtime.recordspan", METADATA},
    {"runtime.newArenaMayUnlock", METADATA},
    {"runtime.newMarkBits", METADATA},
    {"runtime.stkbucket", METADATA},
    {"runtime.mallocinit", METADATA},
    {"runtime.newosproc*", STACK},
    {"runtime.newm*", STACK},
    {"runtime.stackalloc", STACK},
    {"runtime.stackpoolalloc", STACK},
    {"runtime.*", GO_ON},
};

/* What stands for a reason in a page's name, "[anon: Go: heap]" (runtime/mem.go, mheap.go ...). */
static const struct {
	const char *name;
	enum vmt_class_id class;
} names[] = {
    {"heap", VMT_CLASS_GO_HEAP},
    {"heap reservation", VMT_CLASS_GO_HEAP},
    {"user arena chunk", VMT_CLASS_GO_HEAP},
    {"heap index", VMT_CLASS_GO_METADATA},
    {"heap metadata", VMT_CLASS_GO_METADATA},
    {"immortal metadata", VMT_CLASS_GO_METADATA},
    {"page alloc", VMT_CLASS_GO_METADATA},
    {"page alloc index", VMT_CLASS_GO_METADATA},
    {"page summary", VMT_CLASS_GO_METADATA},
    {"scavenge index", VMT_CLASS_GO_METADATA},
    {"allspans array", VMT_CLASS_GO_METADATA},
    {"gc bits", VMT_CLASS_GO_METADATA},
    {"GC span queue", VMT_CLASS_GO_METADATA},
    {"profiler hash buckets", VMT_CLASS_GO_METADATA},
    {"OS thread stack", VMT_CLASS_GO_STACKS},
    {"goroutine stack (system)", VMT_CLASS_GO_STACKS},
    /* What a range is at the moment, not whose it is. */
    {"used", VMT_CLASSES},
    {"unused", VMT_CLASSES},
};

static bool
matches(const char *pattern, const char *name)
{
	size_t length = strlen(pattern);

	if (length && pattern[length - 1] == '*')
		return strncmp(pattern, name, length - 1) == 0;
	return strcmp(pattern, name) == 0;
}

/* Functions of runtime/cgo, C code that acts for the runtime. */
static bool
is_runtime_c(const struct vmt_symbol *frame)
{
	return frame->function && (strncmp(frame->function, "x_cgo_", 6) == 0 ||
				   strncmp(frame->function, "_cgo_sys_", 9) == 0 ||
				   strncmp(frame->function, "_cgo_try_", 9) == 0);
}

/* The first rule that fits. */
static enum verdict
judge(const struct vmt_symbol *frame)
{
	if (is_runtime_c(frame))
		return GO_ON;
	if (!frame->is_go)
		return CROSSING;
	for (size_t i = 0; frame->function && i < sizeof(rules) / sizeof(*rules); i++)
		if (matches(rules[i].name, frame->function))
			return rules[i].verdict;
	return OTHER;
}

enum vmt_class_id
vmt_go_classes_of_stack(const struct vmt_symbol *frames, size_t count, enum vmt_class_id otherwise)
{
	bool at_once = false;
	bool is_runtime = false;

	for (size_t i = 0; i < count; i++) {
		enum verdict verdict = judge(&frames[i]);

		switch (verdict) {
		case TO_C:
		case OTHER:
			return is_runtime ? VMT_CLASS_GO_OTHER : otherwise;
		case ARENA:
			return at_once ? VMT_CLASS_GO_METADATA : VMT_CLASS_GO_HEAP;
		case METADATA:
			return VMT_CLASS_GO_METADATA;
		case STACK:
			return VMT_CLASS_GO_STACKS;
		default:
			at_once |= verdict == AT_ONCE;
			is_runtime |= verdict == AT_ONCE || verdict == GO_ON;
		}
	}
	return is_runtime ? VMT_CLASS_GO_OTHER : otherwise;
}

enum vmt_class_id
vmt_go_classes_of_thread(const struct vmt_symbol *frames, size_t count, enum vmt_class_id otherwise)
{
	for (size_t i = 0; i < count; i++) {
		if (is_runtime_c(&frames[i]))
			return VMT_CLASS_GO_STACKS;
		if (judge(&frames[i]) == STACK)
			return VMT_CLASS_GO_STACKS;
		if (judge(&frames[i]) == TO_C)
			break;
	}
	return otherwise;
}

enum vmt_class_id
vmt_go_classes_of_name(const char *path, size_t path_bytes)
{
	static const char prefix[] = "[anon: Go: ";
	const char *name = path + sizeof(prefix) - 1;
	size_t length = path_bytes - sizeof(prefix); /* without the bracket that ends it */

	if (path_bytes <= sizeof(prefix) || memcmp(path, prefix, sizeof(prefix) - 1) != 0)
		return VMT_CLASSES;
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (strlen(names[i].name) == length && memcmp(names[i].name, name, length) == 0)
			return names[i].class;
	return VMT_CLASS_GO_OTHER;
}
